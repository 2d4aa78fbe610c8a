/* All kernels for one instruction set, in one unit: compiled once an instruction set, with TABLE as the name of its table. */
#include "gemm.c"
#include "few_rows.c"
#include "layers.c"
#include "attention.c"
#include "cache.c"
#include "sampling.c"
#include "optimizer.c"
#include "linalg.c"

const Kernel TABLE[] = {
    {"gemm", gemm},
    {"gemmPackedSize", gemm_packed_size},
    {"gemmPack", gemm_pack},
    {"gemmPacked", gemm_packed},
    {"rmsNorm", rms_norm},
    {"rmsNormBackward", rms_norm_backward},
    {"rope", rope},
    {"swiglu", swiglu},
    {"swigluBackward", swiglu_backward},
    {"gather", gather},
    {"scatterAdd", scatter_add},
    {"addBias", add_bias},
    {"sumRows", sum_rows},
    {"crossEntropy", cross_entropy},
    {"attention", attention},
    {"attentionBackward", attention_backward},
    {"cachedAttention", cached_attention},
    {"cacheSpread", cache_spread},
    {"sampleTokens", sample_tokens},
    {"logprobs", logprobs},
    {"adamw", adamw},
    {"soapMoments", soap_moments},
    {"sumOfSquares", sum_of_squares},
    {"scale", scale},
    {"copy", copy},
    {"eigenvectors", eigenvectors},
    {"orthonormalRows", orthonormal_rows},
    {"rowDots", row_dots},
    {"takeColumns", take_columns},
    {"fmaPeak", fma_peak},
    {NULL, NULL},
};
