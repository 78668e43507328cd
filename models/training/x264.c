// What a camera's H.264 encoder leaves of I420 frames: encodes with libx264 and keeps its reconstruction, which is what
// every decoder shows. x264.py builds and calls it; used in training only, never shipped.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <x264.h>

static void copy(uint8_t *to, const x264_image_t *from, int plane, int width, int height) {
  for (int y = 0; y < height; y++) memcpy(to + y * width, from->plane[plane] + y * from->i_stride[plane], width);
}

// `frames` pictures of width x height I420, in place. Constant QP `qp`, or CRF `crf` where qp < 0. 0, or -1 on failure.
int camera(uint8_t *data, int frames, int width, int height, const char *preset, int qp, float crf) {
  x264_param_t p;
  if (x264_param_default_preset(&p, preset, "zerolatency") < 0) return -1;
  p.i_threads = 1;
  p.i_width = width, p.i_height = height, p.i_csp = X264_CSP_I420;
  p.i_fps_num = 25, p.i_fps_den = 1;
  p.i_bframe = 0, p.i_keyint_max = 50;
  p.i_log_level = X264_LOG_NONE;
  p.b_full_recon = 1;
  p.rc.i_rc_method = qp < 0 ? X264_RC_CRF : X264_RC_CQP;
  p.rc.i_qp_constant = qp, p.rc.f_rf_constant = crf;
  x264_t *encoder = x264_encoder_open(&p);
  if (!encoder) return -1;
  int size = width * height, failed = 0;
  for (int i = 0; i < frames && !failed; i++) {
    uint8_t *frame = data + (size_t)i * size * 3 / 2;
    x264_picture_t in, out;
    x264_nal_t *nals;
    int count;
    x264_picture_init(&in);
    in.img.i_csp = X264_CSP_I420, in.img.i_plane = 3, in.i_pts = i;
    for (int k = 0; k < 3; k++) in.img.i_stride[k] = k ? width / 2 : width;
    in.img.plane[0] = frame, in.img.plane[1] = frame + size, in.img.plane[2] = frame + size * 5 / 4;
    failed = x264_encoder_encode(encoder, &nals, &count, &in, &out) <= 0;
    if (failed) break;
    copy(frame, &out.img, 0, width, height);
    if ((out.img.i_csp & X264_CSP_MASK) == X264_CSP_NV12) {  // chroma as it lies in the encoder
      for (int y = 0; y < height / 2; y++)
        for (int x = 0; x < width / 2; x++)
          for (int k = 0; k < 2; k++)
            frame[size + k * size / 4 + y * width / 2 + x] = out.img.plane[1][y * out.img.i_stride[1] + 2 * x + k];
    } else {
      copy(frame + size, &out.img, 1, width / 2, height / 2);
      copy(frame + size * 5 / 4, &out.img, 2, width / 2, height / 2);
    }
  }
  x264_encoder_close(encoder);
  return failed ? -1 : 0;
}
