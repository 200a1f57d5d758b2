/* FANN's training (double precision) as functions that Python can time next to ours:
   cc -O2 -shared -fPIC fann_peer.c -o fann_peer.so -ldoublefann -lm        (Debian: libfann-dev) */
#include <doublefann.h>
#include <stdlib.h>

struct fann *fann_make(int n_layers, const unsigned *sizes, int batch) {
    struct fann *net = fann_create_standard_array(n_layers, sizes);
    fann_set_training_algorithm(net, batch ? FANN_TRAIN_BATCH : FANN_TRAIN_INCREMENTAL);
    fann_set_train_error_function(net, FANN_ERRORFUNC_LINEAR);
    fann_set_activation_function_hidden(net, FANN_SIGMOID_SYMMETRIC);
    fann_set_activation_steepness_hidden(net, 1.0);
    fann_set_activation_function_output(net, FANN_LINEAR);
    fann_set_activation_steepness_output(net, 1.0);
    fann_set_learning_momentum(net, 0.0f);
    fann_randomize_weights(net, -0.3, 0.3);
    return net;
}

void fann_rate(struct fann *net, float rate) { fann_set_learning_rate(net, rate); }

void fann_online_epoch(struct fann *net, double *X, double *T, long n, int n_in, int n_out) {
    fann_reset_MSE(net);
    for (long r = 0; r < n; ++r) fann_train(net, X + r * n_in, T + r * n_out);
}

struct fann_train_data *fann_rows(double *X, double *T, unsigned n, unsigned n_in, unsigned n_out) {
    struct fann_train_data *data = fann_create_train(n, n_in, n_out);
    for (unsigned r = 0; r < n; ++r) {
        for (unsigned i = 0; i < n_in; ++i) data->input[r][i] = X[r * n_in + i];
        for (unsigned i = 0; i < n_out; ++i) data->output[r][i] = T[r * n_out + i];
    }
    return data;
}

void fann_batch_epoch(struct fann *net, struct fann_train_data *data) { fann_train_epoch(net, data); }

/* weights: neuron by neuron, its inputs and then its bias, as FANN keeps them itself */
void fann_set_rprop(struct fann *net, int symmetric_output, double *weights) {
    fann_set_training_algorithm(net, FANN_TRAIN_RPROP);
    if (symmetric_output) fann_set_activation_function_output(net, FANN_SIGMOID_SYMMETRIC);
    for (unsigned i = 0; i < net->total_connections; ++i) net->weights[i] = weights[i];
}

void fann_get_packed(struct fann *net, double *weights) {
    for (unsigned i = 0; i < net->total_connections; ++i) weights[i] = net->weights[i];
}

float fann_rprop_epoch(struct fann *net, struct fann_train_data *data) { return fann_train_epoch(net, data); }
