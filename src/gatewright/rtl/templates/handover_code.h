/* The code of a feature: floor((value * scale + offset) * 2^frac + 1/2), within the format. The multiplication is rounded
   before the addition, as in training: compile without contraction to fused operations (-ffp-contract=off). */
static inline int32_t @top@_code(double value, int feature)
{
    const double low = @upper@_SIGNED ? -ldexp(1.0, @upper@_WIDTH_BITS - 1) : 0.0;
    const double high = ldexp(1.0, @upper@_WIDTH_BITS - @upper@_SIGNED) - 1.0;
    const double product = value * @top@_scale[feature];
    const double scaled = ldexp(product + @top@_offset[feature], @upper@_FRAC_BITS);
    double code = floor(scaled);
    if (scaled - code >= 0.5) code += 1.0;
    if (code < low) code = low;
    if (code > high) code = high;
    return (int32_t)(int64_t)code;
}
