/* What the decision sheet says, in English and Japanese: one list of phrases, one line each, with {0}, {1} ... where figures
 * stand, so that either language has its own order of words. Names that come from elsewhere (drivers, cost items, stress
 * cases) are translated by what they say in English. Key words of the field stay as they are (TTFT, SLA, NPV). To add a
 * phrase: a line; to add a language: a column, and a value of enum exp_language. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SHEET_WORDS_H
#define KVSIM_EXPERIMENTS_PLANNING_SHEET_WORDS_H

#include "experiments/planning/decision.h"
#include "sim/memory.h"

/* clang-format off */
#define EXP_PHRASES(X) \
    /* the headline */ \
    X(SERVER, "{0} server", "サーバー{0}台") \
    X(SERVERS, "{0} servers", "サーバー{0}台") \
    X(INSTANCE, "{0} instance", "インスタンス{0}台") \
    X(INSTANCES, "{0} instances", "インスタンス{0}台") \
    X(SPARE, ", {0} spare", "、うち予備{0}台") \
    X(BUY, "Buy {0} ({1} x {2}{3}), {4}, TP {5}", "{0}を購入（{1} x {2}{3}）、{4}、TP {5}") \
    X(RENT, "Rent {0} ({1} x {2}{3}), {4}, TP {5}", "{0}を賃借（{1} x {2}{3}）、{4}、TP {5}") \
    X(MIX, "Buy {0} and rent the peak ({1} x {2}{3} in all), {4}, TP {5}", "{0}を購入しピークは賃借（計{1} x {2}{3}）、{4}、TP {5}") \
    X(KEEP, "Keep what there is ({0}), {1}, TP {2}", "現有機を継続使用（{0}）、{1}、TP {2}") \
    X(BESIDE, "Beside what there is: ", "現有機に加えて：") \
    X(MORE_MEMORY, ", host memory to {0} GiB a server", "、ホストメモリを1台{0} GiBに増設") \
    X(GROWS, "; {0} by month {1}", "；{1}か月目までに計{0}") \
    X(TOTAL, "{0} {1} over {2} months", "{2}か月の総費用 {0} {1}") \
    X(SAVES, "saves {0}{1}", "節約 {0}{1}") \
    X(COSTS_MORE, "costs {0} more{1}", "追加費用 {0}{1}") \
    X(PAYBACK_MONTH, "payback {0} months", "回収 {0}か月") \
    X(PAYBACK_NEXT, "payback 1 month", "回収 1か月") \
    X(PAYBACK_UNSURE, "{0} as expected, within the horizon with P {1}", "{0}（期待値。期間内に回収する確率 {1}）") \
    X(PAYBACK_IMMEDIATE, "payback immediate", "即時回収") \
    X(PAYBACK_NEVER, "never pays back", "回収せず") \
    X(PAYBACK_EQUAL, "costs the same", "費用は同じ") \
    X(P_SAVING, "P(saving > 0) {0}", "節約となる確率 {0}") \
    X(IS_BASELINE, "it is what saving is measured against", "これが節約の基準") \
    X(NOTHING, "Nothing meets the service levels.", "サービス水準を満たす構成がありません。") \
    X(RELAXATION, "Smallest relaxation: {0}.", "最小の緩和：{0}。") \
    X(NO_RELAXATION, "No relaxation of the limits that was tried would do; see why below.", "試した範囲の緩和では満たせません。理由は下記。") \
    X(NOT_SCORED, "Nothing can be recommended: failing answers have a price, and those of the candidates were never scored.", "推奨できる構成がありません：誤答に費用が設定されていますが、候補の回答は一度も評価されていません。") \
    X(MEASURE_FIRST, "MEASURE FIRST: {0} of its GPU time is extrapolated, transferred or analytic.", "先に実測を：GPU時間の{0}が外挿・転用・解析値です。") \
    X(BEST_MEASURED, "The best below 30 %: {0}.", "30 %未満で最良：{0}。") \
    X(NONE_MEASURED, "No candidate is below 30 %.", "30 %未満の候補はありません。") \
    X(NO_WINNER, "Order of cost; * is the recommendation: those above it have unscored answers whose failures have a price.", "費用順。*が推奨。上位の候補は、誤答に費用があるのに回答が未評価です。") \
    /* checks */ \
    X(PASS, "+ PASS", "+ 合格") \
    X(FAIL, "- FAIL", "- 不合格") \
    X(UNKNOWN, "? UNKNOWN", "? 不明") \
    X(CHECK_THROUGHPUT, "throughput", "処理能力") \
    X(CHECK_SLA, "SLA {0}", "SLA {0}") \
    X(CHECK_CRITICAL, "critical cases", "重要事例") \
    X(CHECK_PAYBACK, "payback", "回収") \
    X(THROUGHPUT_IS, "{0} -> {1} req/s needed, {2} predicted", "現在{0} → 必要{1} → 予測{2} 件/秒") \
    X(SLA_IS, "{0} [{1}, {2}] % of {3}", "{0} [{1}, {2}] %（目標 {3}）") \
    X(CRITICAL_IS, "{0} of {1} failed, need {2} without a failure", "{1}件中{0}件失敗、失敗なしで{2}件必要") \
    X(CRITICAL_UNSCORED, "its answers were never scored beside those of full KV", "完全KVと比べた回答の評価がない") \
    X(CRITICAL_ANY, "{0} of {1} failed, no class states max_failure_rate", "{1}件中{0}件失敗、max_failure_rate未設定") \
    X(LOSSLESS, "none: its answers are those of full KV", "なし：回答はfull KVと同じ") \
    X(PAYBACK_IS, "{0} of {1} months", "{1}か月中{0}か月") \
    X(IMMEDIATE, "immediate", "即時") \
    X(NEVER_WITHIN, "never within {0} months", "{0}か月以内に回収せず") \
    X(SAME, "it is the baseline", "基準と同じ") \
    X(NO_BASELINE, "no fleet with the baseline meets the service levels", "基準構成ではサービス水準を満たせません") \
    /* the table */ \
    X(HEAD_STRATEGY, "strategy", "方式") \
    X(HEAD_GET, "get", "調達") \
    X(HEAD_MONTH, "{0}/\nmonth", "{0}/\n月") \
    X(HEAD_GOOD, "{0}/\n1k good", "{0}/\n千良答") \
    X(HEAD_LATENCY, "p99 ms\nTTFT/TPOT", "p99 ms\nTTFT/TPOT") \
    X(HEAD_HEADROOM, "head-\nroom", "余裕") \
    X(HEAD_NEGATIVE, "neg.", "悪化") \
    X(HEAD_MEASURED, "meas-\nured", "実測") \
    X(HEAD_WHY, "why not", "理由") \
    X(HEAD_SETTINGS, "settings", "設定") \
    X(LEGEND, "1k good: a thousand answers within the service levels that do not newly fail. Headroom: load at which the SLA breaks over the planned peak. neg.: answers that newly fail, of all. measured: share of GPU time from measured or interpolated operators.", "千良答：SLAを満たし新たに誤らない回答1000件。余裕：SLAが破れる負荷÷計画ピーク。悪化：新たに誤る回答の割合。実測：実測・内挿に基づくGPU時間の割合。") \
    X(HAVE, "have", "現有") \
    X(HAVE_IS, "have: the machines there are, {0}.", "現有：今ある機械、{0}。") \
    X(AGAINST, "Saving and payback are against {0} ({1} {2}).", "節約と回収の基準：{0}（{1} {2}）。") \
    X(LOSERS, "Losers not shown: {0}; --all shows them and why.", "表示していない不採用の候補：{0}件。--allで理由とともに表示。") \
    X(LOSERS_TITLE, "The losers", "不採用の候補") \
    X(HEAD_REPLICAS, "repl.", "レプリカ") \
    X(HEAD_ESTIMATE, "{0} over\nhorizon", "{0}\n全期間") \
    /* how sure */ \
    X(WEAKEST, "Weakest number: {0} ({1}); it moves the load that the fleet carries by {2}.", "最も不確かな数値：{0}（{1}）。処理できる負荷への影響 {2}。") \
    X(MEASURE, "Measure: {0}", "実測：{0}") \
    X(NEXT, "Next: {0}", "次：{0}") \
    X(TORNADO_TITLE, "What would change this answer", "この結論を変えうるもの") \
    X(TORNADO_SAYS, "NPV is {0} {1} as expected; each line moves one input to its 5 and 95 % and leaves the others.", "期待値でのNPVは{0} {1}。各行は1項目だけを5 %点と95 %点に動かした結果。") \
    X(TORNADO_RIVAL, "The recommendation is the baseline itself; the lines are of the next, {0}, whose NPV against it is {1} {2} as expected. Above 0 it wins.", "推奨は基準そのもの。各行は次点の{0}のもので、期待値でのNPVは{1} {2}。0を超えれば次点が優る。") \
    X(TORNADO_ALONE, "The recommendation is the baseline itself, and nothing else is near.", "推奨は基準そのもので、競合はありません。") \
    X(HEAD_INPUT, "if this is", "項目") \
    X(HEAD_LOW, "low", "低") \
    X(HEAD_HIGH, "high", "高") \
    X(HEAD_NPV_LOW, "NPV at low", "低でのNPV") \
    X(HEAD_NPV_HIGH, "NPV at high", "高でのNPV") \
    X(HEAD_FLIPS, "answer", "結論") \
    X(FLIPS, "changes", "変わる") \
    X(STAYS, "stays", "同じ") \
    X(A_YEAR, "{0} % p.a.", "年{0} %") \
    X(OF_ANSWERS, "{0} %", "{0} %") \
    X(TIMES, "x {0}", "x {0}") \
    X(CERTAIN, "No uncertain input moves NPV.", "NPVを動かす不確かな項目はありません。") \
    X(MEASURE_TITLE, "What to measure first", "最初に測るもの") \
    X(MEASURE_SAYS, "{0}: of what can be measured it moves this answer most.", "{0}：測れるもののうち結論を最も動かします。") \
    X(NOTHING_TO_MEASURE, "Nothing that can be measured moves NPV; what is left are prices and demand.", "測定で狭められる項目はありません。残るのは価格と需要です。") \
    X(KNOWING, "Knowing everything beforehand is worth {0} {1} at most; the pilot costs {0} {2}: {3}", "全てを事前に知る価値は最大{0} {1}、パイロットの費用は{0} {2}：{3}") \
    X(WORTH, "a pilot may pay for itself.", "パイロットは元が取れる可能性があります。") \
    X(NOT_WORTH, "by money alone it is not worth it.", "金額だけなら実施に見合いません。") \
    X(KNOWING_UNKNOWN, "What knowing everything beforehand is worth is not known; the pilot costs {0} {1}.", "全てを事前に知る価値は不明。パイロットの費用は{0} {1}。") \
    /* reference lines */ \
    X(REFERENCE_TITLE, "Reference lines", "参照線") \
    X(HEAD_OPTION, "option", "選択肢") \
    X(HEAD_TOTAL, "{0} over\nhorizon", "{0}\n全期間") \
    X(HEAD_NPV, "NPV against\nbaseline", "基準との\nNPV") \
    X(THE_WINNER, "the recommendation", "推奨") \
    X(ATTAINS, "attains {0} % at the planned peak", "計画ピークでの達成率 {0} %") \
    X(BREAK_EVEN, "the recommendation is cheaper above {0}x the planned load ({1} req/s)", "計画負荷の{0}倍（{1} 件/秒）を超えると推奨の方が安い") \
    X(API_CHEAPER, "A managed API serves this load for {0} {1} over {2} months, less than the recommendation: buy only if its answers, its limits or your data rule it out.", "マネージドAPIはこの負荷を{2}か月 {0} {1}で処理でき、推奨より安価です。回答・制限・データの都合で使えない場合のみ購入を。") \
    X(NO_BREAK_EVEN, "no load at which the two cost the same", "費用が等しくなる負荷はありません") \
    X(NO_PRICE, "no price for this model; money.prices takes one", "このモデルの価格がありません。money.pricesで指定") \
    X(NO_HAVE, "there are no machines today (have)", "現有機がありません（have）") \
    /* fail-safe */ \
    X(FAILSAFE_TITLE, "If it goes wrong", "うまくいかない場合") \
    X(FAILSAFE_SAYS, "Attainment of the worst class, %, on the busiest stretch; ! is below the service level. Columns are the table's rows.", "最繁時の最悪クラスの達成率（%）。!はサービス水準未達。列は表の順位。") \
    X(HEAD_CASE, "case", "事態") \
    X(ROLLBACK, "rolled back to full KV", "full KVに戻す") \
    X(ROLLBACK_RENT, "... servers to rent until it holds", "… 満たすまでに借りる台数") \
    X(NEVER, "never", "不可") \
    /* pilot */ \
    X(PILOT_TITLE, "Pilot", "パイロット") \
    X(PILOT_SAYS, "Measured: {0} requests on full KV, {1} on {2} ({3}).", "実測：full KV {0}件、{2} {1}件（{3}）。") \
    X(P_SAVING_HEAD, "P(saving > 0)", "節約となる確率") \
    X(HEAD_BEFORE, "before", "実施前") \
    X(HEAD_AFTER, "after", "実施後") \
    X(GO, "GO", "実施") \
    X(EXTEND, "EXTEND", "延長") \
    X(STOP, "STOP", "中止") \
    /* assumptions */ \
    X(ASSUMPTIONS_TITLE, "Assumptions", "前提") \
    X(ASSUME_LOAD, "Load: {0}, x {1} ({2}), peak to mean {3}, growth {4} % a year, {5} months.", "負荷：{0}、{1}倍（{2}）、ピーク対平均{3}、年成長率{4} %、{5}か月。") \
    X(ASSUME_FLEET, "Fleet: sized for {0} % over the peak, {1}{2}.", "構成：ピークに{0} %の余裕、{1}{2}。") \
    X(SPARE_SERVER, "{0} spare server", "予備サーバー{0}台") \
    X(SPARES, "{0} spare servers", "予備サーバー{0}台") \
    X(ROBUST, ", holds with a server lost", "、1台喪失でも維持") \
    X(ASSUME_SUPPLY, "Supply: {0} months of lead time, {1}.", "調達：納期{0}か月、{1}。") \
    X(BRIDGED, "bridged by renting", "その間は賃借") \
    X(NOT_BRIDGED, "the load waits", "その間は負荷が待つ") \
    X(ASSUME_MONEY, "Money: {0}, discounted at {1} % a year.", "通貨：{0}、割引率 年{1} %。") \
    X(ASSUME_CLASS, "Class {0}: {1} {2} a failing answer, {1} {3} a missed SLA{4}.", "クラス{0}：誤答1件 {1} {2}、SLA未達1件 {1} {3}{4}。") \
    X(ASSUME_MOST, ", at most {0} % may fail", "、誤答は{0} %まで") \
    X(ASSUME_REST, "Every value that was used: page two and plan.yaml.", "使用した全ての値：2ページ目とplan.yaml。") \
    X(CURVE, "by the hour", "時間別曲線") \
    /* prices */ \
    X(PRICES_TITLE, "Prices", "価格") \
    X(HEAD_ITEM, "item", "項目") \
    X(HEAD_DATE, "date", "日付") \
    X(HEAD_SOURCE, "source", "出典") \
    X(OLD, "{0} OLD", "{0} 古い") \
    X(OLD_SAYS, "OLD: more than {0} days; ask for a quote before it decides.", "古い：{0}日超。決定前に見積もりを取ること。") \
    X(SOURCES_ARE, "Sources: page two (--all, decision.md).", "出典：2ページ目（--all、decision.md）。") \
    X(PRICE_SERVER, "server, {0} x {1}", "サーバー、{0} x {1}") \
    X(PRICE_RENT, "instance-hour, {0} x {1}{2}", "インスタンス時間、{0} x {1}{2}") \
    X(PRICE_HOST, "GiB of host memory", "ホストメモリ 1 GiB") \
    X(PRICE_KWH, "kWh", "kWh") \
    X(PRICE_PUE, "PUE, watts a watt", "PUE（W/W）") \
    X(PRICE_RACK, "space, a server and month", "設置、1台・月") \
    X(PRICE_MAINTENANCE, "maintenance, % a year", "保守、年%") \
    X(PRICE_ENGINEER, "hour of an engineer", "技術者1時間") \
    X(PRICE_LOSS, "loss of worth, % a year", "減価、年%") \
    X(PRICE_API_IN, "API, M input tokens", "API、入力100万トークン") \
    X(PRICE_API_OUT, "API, M output tokens", "API、出力100万トークン") \
    X(NOTES_TITLE, "Notes", "注意") \
    /* page two */ \
    X(DETAILS_TITLE, "For the integrator", "構築担当者へ") \
    X(FLAGS_TITLE, "Engine", "エンジン") \
    X(FLAGS_SAYS, "A process for every replica: {0} in all, {1} a server ({2}).", "レプリカごとに1プロセス：計{0}、サーバー当たり{1}（{2}）。") \
    X(FLAGS_MODEL, "{0} stands for your checkpoint of it.", "{0}は手元のチェックポイント名に置き換えてください。") \
    X(FLAGS_HAVE, "On the servers there are, {0} x {1}: --tensor-parallel-size {2}.", "現有サーバー{0}台（{1}）：--tensor-parallel-size {2}。") \
    X(FLAGS_DEFAULTS, "Flags that are not named stay at the engine's defaults for the GPU, which the prediction took too.", "記載のないフラグはGPUに応じたエンジンの既定値。予測も同じ値を使用。") \
    X(FLAGS_PREFIX, "Prefix caching is off because it was not simulated; it may be turned on, and then saves time.", "プレフィックスキャッシュは未シミュレーションのため無効。有効化すればさらに速くなります。") \
    X(FLAGS_OTHER_ENGINE, "Engine {0}: the flags are vLLM's spelling of the same settings.", "エンジン{0}：同じ設定をvLLMの表記で示しています。") \
    X(FLAGS_PLAIN, "KV cache: {0} needs no flag.", "KVキャッシュ：{0}はフラグ不要。") \
    X(FLAGS_SHIPS, "KV cache: {0} is {1}.", "KVキャッシュ：{0}は{1}。") \
    X(FLAGS_ELSEWHERE, "KV cache: vLLM does not ship {0}; {1} does ({2}), whose speed was not simulated here.", "KVキャッシュ：{0}はvLLMにありません。{1}にあります（{2}）が、その速度は未シミュレーション。") \
    X(FLAGS_NOT, "KV cache: no serving engine ships {0}. It has to be integrated ({1}); source: {2}.", "KVキャッシュ：{0}を備えた推論エンジンはありません。組み込みが必要（{1}）。出典：{2}。") \
    X(FLAGS_WEIGHTS, "Weights are {0}: serve a checkpoint of that type.", "重みは{0}：同じ型のチェックポイントを使用。") \
    X(PARAMETERS_TITLE, "Strategy parameters", "方式のパラメータ") \
    X(HEAD_PARAMETER, "parameter", "パラメータ") \
    X(HEAD_VALUE, "value", "値") \
    X(HEAD_RANGE, "range", "範囲") \
    X(GIVEN, "given in the plan", "計画で指定") \
    X(NO_PARAMETERS, "{0} has none.", "{0}にはありません。") \
    X(BILL_TITLE, "Bill of materials", "部材表") \
    X(HEAD_COUNT, "count", "数量") \
    X(HEAD_EACH, "{0} each", "単価 {0}") \
    X(BILL_SERVER, "server, {0} x {1}, {2} GiB", "サーバー、{0} x {1}、{2} GiB") \
    X(BILL_SPARE, "spare server, the same", "予備サーバー、同仕様") \
    X(BILL_LATER, "servers bought later, the same", "後に購入するサーバー、同仕様") \
    X(BILL_HAVE, "server there is, {0} x {1}", "現有サーバー、{0} x {1}") \
    X(BILL_GPUS, "GPUs at the planned peak, spares too", "計画ピーク時のGPU（予備含む）") \
    X(BILL_MEMORY, "host memory, bought for what there is", "現有機のホストメモリ増設") \
    X(BILL_INTEGRATION, "integration of {0}, once", "{0}の組み込み、1回") \
    X(BILL_RENT, "instance-month of renting, {0} x {1}", "賃借インスタンス月、{0} x {1}") \
    X(BILL_ADDS, "Servers, renting and integration are the plan's over the whole horizon; what they add up to stands under cost.", "サーバー・賃借・組み込みは全期間の計画値。合計は費用の内訳を参照。") \
    X(VERIFY_TITLE, "Verified numbers of replicas", "検証したレプリカ数") \
    X(VERIFY_SAYS, "Attainment, mean and 90 % interval over replications on the whole trace, % of arrived requests.", "トレース全体の反復における達成率の平均と90 %区間（到着要求の%）。") \
    X(VERIFIED, "Fresh seeds agree. Replicas needed: {0}; with {1} a service level is missed.", "新しい乱数でも一致。必要レプリカ数{0}。{1}では未達。") \
    X(VERIFIED_NONE, "No replica is needed beside what there is.", "現有機のほかにレプリカは不要。") \
    X(NOT_CHECKED, "Not checked with fresh seeds: it costs over 10 % more than the cheapest. Replicas needed: between {1} and {0}.", "新しい乱数では未確認（最安より10 %超高いため）。必要レプリカ数は{1}と{0}の間。") \
    X(TOO_FEW, "Fresh seeds do not agree: {0} replicas miss a service level with them.", "新しい乱数では一致せず：{0}レプリカでは未達。") \
    X(NOT_VERIFIED, "Fresh seeds do not agree: {1} do, too. Replicas needed: between {1} and {0}.", "新しい乱数では一致せず：{1}でも達成。必要レプリカ数は{1}と{0}の間。") \
    X(HEAD_SEEDS, "seeds", "乱数") \
    X(FRESH, "fresh", "新規") \
    X(FIRST, "first", "初回") \
    X(HEAD_CLASS, "class", "クラス") \
    X(HEAD_ATTAINED, "attained, %", "達成率 %") \
    X(HEAD_MEETS, "meets", "達成") \
    X(YES, "yes", "はい") \
    X(NO, "no", "いいえ") \
    X(SENSITIVE_TITLE, "What the speed depends on", "速度を左右するもの") \
    X(SENSITIVE_SAYS, "known to: one standard deviation. load: how much more load an error of one per cent feels like, in per cent.", "確度：標準偏差。負荷：1 %の誤差が何%の負荷増に相当するか。") \
    X(HEAD_DRIVER, "driver", "要因") \
    X(HEAD_KNOWN, "known to", "確度") \
    X(HEAD_ELASTICITY, "load", "負荷") \
    X(HEAD_STREAM, "errs with", "誤差の元") \
    X(SCHEDULE_TITLE, "Purchases by month", "月別の購入予定") \
    X(SCHEDULE_SAYS, "Month 0 is now. Months in which nothing changes are left out; plan.json has all. rented: instances, mean over the month.", "0か月目が現在。変化のない月は省略（plan.jsonに全月）。賃借：インスタンス数の月平均。") \
    X(HEAD_MONTH_NO, "month", "月") \
    X(HEAD_DELIVERED, "delivered", "納入") \
    X(HEAD_RUNNING, "running", "稼働") \
    X(HEAD_RENTED, "rented", "賃借") \
    X(HEAD_CASH, "{0} paid", "支払 {0}") \
    X(COST_TITLE, "Cost over the horizon", "全期間の費用の内訳") \
    X(HEAD_BASELINE, "baseline", "基準") \
    X(HEAD_DIFFERENCE, "difference", "差") \
    X(COST_TOTAL, "total", "合計") \
    X(COST_RESIDUAL, "worth at the end", "期末の残存価値") \
    X(COST_HOUR, "an hour, purchases by their loss of worth", "1時間当たり（購入は減価分のみ）") \
    X(COST_MTOK, "a million output tokens", "出力100万トークン当たり") \
    X(COST_EQUIVALENT, "... at their length with full KV", "…（full KVの長さに換算）") \
    X(VALUES_TITLE, "Every value of the plan", "計画の全ての値") \
    X(TOOK, "{0} simulations in {1}.", "シミュレーション{0}回、{1}。") \
    /* why not */ \
    X(WHY_GPUS, "+{0} GPUs", "GPU +{0}") \
    X(WHY_BECAUSE, "{0}: {1}", "{0}：{1}") \
    X(WHY_MEMORY, "KV memory", "KVメモリ") \
    X(WHY_COST, "+{0} % cost", "費用 +{0} %") \
    X(WHY_GOOD, "+{0} % per good answer", "良答当たり +{0} %") \
    X(WHY_QUALITY, "quality not measured", "品質は未測定") \
    X(WHY_MEASURE, "measure first", "先に実測を") \
    X(WHY_SLA, "SLA missed", "SLA未達")

#define EXP_PHRASE_NAME(name, english, japanese) EXP_SAY_##name,
enum exp_phrase { EXP_PHRASES(EXP_PHRASE_NAME) EXP_N_PHRASES };
#undef EXP_PHRASE_NAME
/* clang-format on */

/* As it stands in the list. */
const char *exp_phrase(enum exp_language language, enum exp_phrase phrase);

/* With {0} .. {9} replaced by args, which end with NULL. The arena's. */
const char *exp_phrase_fill(struct sim_arena *arena, enum exp_language language, enum exp_phrase phrase,
                            const char *const *args);

/* A name of the rest of the program in the language; as it is when nobody translated it. */
const char *exp_term(enum exp_language language, const char *english);

#endif
