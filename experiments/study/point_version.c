#include "experiments/study/point.h"
#include "experiments/version.h"
#include "model_version.h"

const char *exp_model_version(void)
{
    return EXP_VERSION "-" EXP_MODEL_HASH;
}
