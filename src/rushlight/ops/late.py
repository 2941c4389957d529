"""Operations whose modules are read when they are first called, so that importing the package stays quick."""

from __future__ import annotations

from rushlight.late import function as late

# ---- linear algebra ----

cholesky = late("ops.cholesky", "torch_cholesky")
cholesky_inverse = late("ops.cholesky", "cholesky_inverse")
cholesky_solve = late("ops.cholesky", "cholesky_solve")
det = late("ops.linear_algebra", "torch_det")
geqrf = late("ops.householder", "geqrf")
inverse = late("ops.linear_algebra", "inverse")
orgqr = late("ops.householder", "householder_product")
logdet = late("ops.linear_algebra", "logdet")
pinverse = late("ops.linear_algebra", "pinverse")
slogdet = late("ops.linear_algebra", "torch_slogdet")
triangular_solve = late("ops.linear_algebra", "triangular_solve")
qr = late("ops.factorizations", "torch_qr")
svd = late("ops.factorizations", "torch_svd")
matrix_exp = late("ops.matrix_functions", "torch_matrix_exp")

# ---- what torch.nn.functional has too ----

bilinear = late("ops.layers", "bilinear")
constant_pad_nd = late("ops.padding", "constant_pad_nd")
conv1d = late("ops.convolution", "conv1d")
conv2d = late("ops.convolution", "conv2d")
conv3d = late("ops.convolution", "conv3d")
conv_transpose1d = late("ops.convolution", "conv_transpose1d")
conv_transpose2d = late("ops.convolution", "conv_transpose2d")
conv_transpose3d = late("ops.convolution", "conv_transpose3d")
cosine_similarity = late("ops.normalisation", "cosine_similarity")
group_norm = late("ops.normalisation", "group_norm")
layer_norm = late("ops.normalisation", "layer_norm")
pairwise_distance = late("ops.normalisation", "pairwise_distance")
pixel_shuffle = late("ops.resampling", "pixel_shuffle")
pixel_unshuffle = late("ops.resampling", "pixel_unshuffle")
rms_norm = late("ops.normalisation", "rms_norm")

# ---- signals, samples ----

bartlett_window = late("ops.windows", "bartlett_window")
blackman_window = late("ops.windows", "blackman_window")
hamming_window = late("ops.windows", "hamming_window")
hann_window = late("ops.windows", "hann_window")
kaiser_window = late("ops.windows", "kaiser_window")
stft = late("ops.spectrogram", "stft")
istft = late("ops.spectrogram", "istft")
histogram = late("ops.binning", "histogram")
gradient = late("ops.slopes", "gradient")
renorm = late("ops.slopes", "renorm")
fill_diagonal_ = late("ops.slopes", "fill_diagonal_")
renorm_ = late("ops.slopes", "renorm_")
ctc_loss = late("ops.alignment", "ctc_loss")
adaptive_avg_pool1d = late("ops.pooling", "adaptive_avg_pool1d")
adaptive_max_pool1d = late("ops.kernel_forms", "adaptive_max_pool1d")
avg_pool1d = late("ops.pooling", "avg_pool1d")
max_pool1d = late("ops.pooling", "max_pool1d")
max_pool2d = late("ops.pooling", "max_pool2d")
max_pool3d = late("ops.pooling", "max_pool3d")
channel_shuffle = late("nn.functional", "channel_shuffle")
pdist = late("nn.functional", "pdist")
alpha_dropout = late("ops.kernel_forms", "alpha_dropout")
batch_norm = late("ops.kernel_forms", "batch_norm")
dropout = late("ops.kernel_forms", "dropout")
embedding = late("ops.kernel_forms", "embedding")
feature_alpha_dropout = late("ops.kernel_forms", "feature_alpha_dropout")
instance_norm = late("ops.kernel_forms", "instance_norm")
