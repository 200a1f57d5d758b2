// Elementary functions of whole vectors, within 2 ulp in both precisions over the whole range.
// NaN and infinities pass through, subnormal results are right, nothing branches on single lanes
// except sin and cos of huge arguments. tests/test_native_math.py measures each against mpmath.
#pragma once

#include "math/exp.hpp"
#include "math/log.hpp"
#include "math/normal.hpp"
#include "math/trig.hpp"
