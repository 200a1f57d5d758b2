/* FANN's incremental training (double precision) as one function, so that Python can time it next to ours:
   cc -O2 -shared -fPIC fann_online.c -o fann_online.so -ldoublefann -lm        (Debian: libfann-dev) */
#include <doublefann.h>
#include <stdlib.h>

struct fann *fann_make(int n_layers, const unsigned *sizes) {
    struct fann *net = fann_create_standard_array(n_layers, sizes);
    fann_set_training_algorithm(net, FANN_TRAIN_INCREMENTAL);
    fann_set_train_error_function(net, FANN_ERRORFUNC_LINEAR);
    fann_set_activation_function_hidden(net, FANN_SIGMOID_SYMMETRIC);
    fann_set_activation_steepness_hidden(net, 1.0);
    fann_set_activation_function_output(net, FANN_LINEAR);
    fann_set_activation_steepness_output(net, 1.0);
    fann_set_learning_momentum(net, 0.0f);
    fann_randomize_weights(net, -0.3, 0.3);
    return net;
}

void fann_epoch(struct fann *net, float rate, double *X, double *T, long n, int n_in, int n_out) {
    fann_set_learning_rate(net, rate);
    fann_reset_MSE(net);
    for (long r = 0; r < n; ++r) fann_train(net, X + r * n_in, T + r * n_out);
}

void fann_free(struct fann *net) { fann_destroy(net); }
