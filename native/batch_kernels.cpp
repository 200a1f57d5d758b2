// The batch kernels of one instruction set: compiled once for each.
#include "gauss_newton.hpp"
#include "gauss_newton_product.hpp"
#include "last_layer.hpp"
#include "predict.hpp"
#include "predict_few.hpp"
#include "residuals.hpp"
#include "squared_derivatives.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
static BatchTable<T> batch_table() {
    return {
        .plan = plan_batch<T>,
        .pack = pack_weights<T>,
        .value = batch_value<T>,
        .value_grad = batch_value_grad<T>,
        .gauss_newton = batch_gauss_newton<T>,
        .gauss_newton_workspace = gauss_newton_workspace<T>,
        .gauss_newton_sums = gauss_newton_sums<T>,
        .spread = spread_gauss_newton<T>,
        .product = batch_gauss_newton_product<T>,
        .product_workspace = product_workspace<T>,
        .residuals = batch_residuals<T>,
        .residuals_workspace = residuals_workspace<T>,
        .squared_derivatives = batch_squared_derivatives<T>,
        .last_layer_sums = batch_last_layer_sums<T>,
        .last_layer_left = batch_last_layer_left<T>,
        .last_layer_value_grad = batch_last_layer_value_grad<T>,
        .last_layer_workspace = last_layer_workspace<T>,
        .last_layer_kept = last_layer_kept<T>,
        .pack_to_predict = pack_to_predict<T>,
        .predict = batch_predict<T>,
        .predict_few = predict_few<T>,
    };
}

BatchTables batch_tables() {
    return {batch_table<double>(), batch_table<float>()};
}

}  // namespace deltarule::DELTARULE_ISA
