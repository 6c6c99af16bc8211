#include "experiments/study/point.h"
#include "experiments/version.h"

/* EXP_MODEL_HASH is made from the sources that numbers come from, when this file is compiled. */
const char *exp_model_version(void)
{
    return EXP_VERSION "-" EXP_MODEL_HASH;
}
