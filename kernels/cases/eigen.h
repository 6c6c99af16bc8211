/* The best there is: leading eigenvectors of a small symmetric matrix x^T x, hence the best low-rank factors of
 * x, against which approximations are judged. One-sided Jacobi (Hestenes 1958): rows are rotated in pairs until
 * they are orthogonal; row i is then eigenvalue i times eigenvector i. n^3 a sweep, a dozen sweeps: small n. */
#ifndef KVSIM_KERNELS_CASES_EIGEN_H
#define KVSIM_KERNELS_CASES_EIGEN_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Zeroed; free with free. */
static inline double *kb_doubles(uint64_t n)
{
    double *p = calloc(n ? n : 1, sizeof *p);
    if (!p) abort();
    return p;
}

static inline double kb_dot(const double *a, const double *b, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Makes two rows orthogonal; false when they were. */
static inline bool kb_rotate_rows(double *p, double *q, uint32_t n)
{
    double pp = kb_dot(p, p, n), qq = kb_dot(q, q, n), pq = kb_dot(p, q, n);
    if (fabs(pq) <= 1e-12 * sqrt(pp * qq)) return false;
    double zeta = (qq - pp) / (2 * pq), t = copysign(1, zeta) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    double c = 1 / sqrt(1 + t * t), s = c * t;
    for (uint32_t i = 0; i < n; i++) {
        double x = p[i], y = q[i];
        p[i] = c * x - s * y;
        q[i] = s * x + c * y;
    }
    return true;
}

/* v [rank][n]: orthonormal eigenvectors of the largest eigenvalues of g [n][n], which is destroyed. */
static inline void kb_eigen_top(double *g, uint32_t n, uint32_t rank, double *v)
{
    bool moved = true;
    for (uint32_t sweep = 0; moved && sweep < 30; sweep++) {
        moved = false;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = i + 1; j < n; j++)
                moved |= kb_rotate_rows(g + (uint64_t)i * n, g + (uint64_t)j * n, n);
    }
    for (uint32_t k = 0; k < rank; k++) {
        double *best = g, size = 0;
        for (uint32_t i = 0; i < n; i++) {
            double s = kb_dot(g + (uint64_t)i * n, g + (uint64_t)i * n, n);
            if (s > size) {
                size = s;
                best = g + (uint64_t)i * n;
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            v[(uint64_t)k * n + i] = size > 0 ? best[i] / sqrt(size) : 0;
            best[i] = 0; /* not again */
        }
    }
}

/* v [rank][n]: the right singular vectors of the largest singular values of x [rows][n]. The Gram matrix is
 * made of the shorter side, and carried over when that is the left. */
static inline void kb_best_basis(const double *x, uint32_t rows, uint32_t n, uint32_t rank, double *v)
{
    bool left = rows < n;
    uint32_t m = left ? rows : n;
    double *g = kb_doubles((uint64_t)m * m), *u = left ? kb_doubles((uint64_t)rank * m) : v;
    for (uint32_t i = 0; left && i < m; i++)
        for (uint32_t j = 0; j < m; j++)
            g[(uint64_t)i * m + j] = kb_dot(x + (uint64_t)i * n, x + (uint64_t)j * n, n);
    for (uint64_t t = 0; !left && t < rows; t++)
        for (uint32_t i = 0; i < m; i++)
            for (uint32_t j = 0; j < m; j++) g[(uint64_t)i * m + j] += x[t * n + i] * x[t * n + j];
    kb_eigen_top(g, m, rank, u);
    for (uint32_t k = 0; left && k < rank; k++) {
        double *to = v + (uint64_t)k * n;
        for (uint32_t t = 0; t < rows; t++)
            for (uint32_t i = 0; i < n; i++) to[i] += u[(uint64_t)k * m + t] * x[(uint64_t)t * n + i];
        double size = sqrt(kb_dot(to, to, n));
        for (uint32_t i = 0; i < n && size > 0; i++) to[i] /= size;
    }
    free(g);
    if (left) free(u);
}

#endif
