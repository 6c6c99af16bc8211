#!/usr/bin/env python3
"""PyTorch's attention on the machine at hand, beside kvbench's own: torch-attention.py [--layout 32,8,128] >torch.csv

Prefill through scaled_dot_product_attention forced to FLASH_ATTENTION, causal, bf16, batch 1; decode through the
same call, one query a sequence over a contiguous cache (PyTorch has no paged decode). Times are medians of 20
launches between CUDA events after 3 warm-ups, on random data, with the cache emptied before each launch. Columns
are those of kvbench's tables, so that rows can be put side by side.
"""
import argparse
import sys


def rows(torch, q_heads, kv_heads, dim):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention as attention

    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")

    def median_s(run):
        times = []
        for sample in range(23):
            flush.zero_()
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            run()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1e-3)
        return sorted(times[3:])[10]

    def tensors(seqs, queries, keys):
        make = lambda heads, length: torch.randn(seqs, heads, length, dim, device="cuda", dtype=torch.bfloat16)
        return make(q_heads, queries), make(kv_heads, keys), make(kv_heads, keys)

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        for length in (512, 1024, 2048, 4096, 8192, 16384, 32768):
            q, k, v = tensors(1, length, length)
            yield "prefill", 1, length, 0, median_s(lambda: attention(q, k, v, is_causal=True, enable_gqa=True))
        for seqs, length in ((1, 8192), (1, 131072), (16, 4096), (64, 4096), (64, 16384)):
            q, k, v = tensors(seqs, 1, length)
            yield "decode", seqs, 1, length, median_s(lambda: attention(q, k, v, enable_gqa=True))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--layout", default="32,8,128", help="query heads, KV heads, head dimension")
    heads = [int(x) for x in options.parse_args().layout.split(",")]
    try:
        import torch
    except ImportError:
        sys.exit("torch-attention.py: PyTorch is not installed here")
    if not torch.cuda.is_available():
        sys.exit("torch-attention.py: PyTorch sees no GPU")
    print("phase,q_heads,kv_heads,head_dim,seqs,new_tokens,past_tokens,time_s,torch")
    for phase, seqs, new, past, time_s in rows(torch, *heads):
        print(phase, *heads, seqs, new, past, f"{time_s:.6g}", torch.__version__, sep=",")


if __name__ == "__main__":
    main()
