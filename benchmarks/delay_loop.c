/* Limit of the blocked read: Hopf nodes, per-edge delays, linear reads, two-stage Heun with the coupling at both stages.

   past[j] is the trajectory of source j, oldest sample first. A block of m steps needs, from every edge, m + 2 neighbors
   in memory: the drive at the start of each of its steps and at the end of the last. */

#ifndef BLOCK
#define BLOCK 16
#endif
#define MAX_NODES 4096

/* Kept out of line: inlined, gcc 12 vectorizes over the edges, by gathers, and loses a factor of four. */
__attribute__((noinline)) static void add(float *restrict sum, const float *restrict seen, float p, float q) {
    for (int s = 0; s <= BLOCK; s++) sum[s] += p * seen[s] + q * seen[s - 1];
}

static void advance(float *x, float *y, const float *drive, const float *next, int n, float dt, float a, float w) {
    for (int i = 0; i < n; i++) {
        float r = a - x[i] * x[i] - y[i] * y[i];
        float kx = r * x[i] - w * y[i] + drive[i], ky = r * y[i] + w * x[i];
        float px = x[i] + dt * kx, py = y[i] + dt * ky;
        r = a - px * px - py * py;
        x[i] += dt / 2 * (kx + r * px - w * py + next[i]);
        y[i] += dt / 2 * (ky + r * py + w * px);
    }
}

/* Run n_blocks blocks of BLOCK steps. whole, late, early: per edge, the whole lag and the weights of the two samples.
   diffusive: 0, or the gain times the summed weights per node (degree), which pulls a node to zero.
   past holds n_past columns of history per source and room for the run; drives is scratch, (BLOCK + 1) * n. */
void run(float *past, long stride, long n_past, const int *whole, const float *late, const float *early,
         const float *degree, float *x, float *y, float *drives, int n, long n_blocks, float dt, float a, float w) {
    for (long b = 0; b < n_blocks; b++) {
        long newest = n_past - 1 + b * BLOCK;
        for (int i = 0; i < n; i++) {
            float sum[BLOCK + 1] = {0};
            for (int j = 0; j < n; j++) {
                const float *seen = past + j * stride + newest - whole[i * n + j];
                float p = late[i * n + j], q = early[i * n + j];
                add(sum, seen, p, q);
            }
            for (int s = 0; s <= BLOCK; s++) drives[s * n + i] = sum[s];
        }
        for (int s = 0; s < BLOCK; s++) {
            if (degree) {
                float first[MAX_NODES], second[MAX_NODES];
                for (int i = 0; i < n; i++) {
                    first[i] = drives[s * n + i] - degree[i] * x[i];
                    second[i] = drives[(s + 1) * n + i] - degree[i] * (x[i] + dt * ((a - x[i] * x[i] - y[i] * y[i]) * x[i] - w * y[i] + first[i]));
                }
                advance(x, y, first, second, n, dt, a, w);
            } else {
                advance(x, y, drives + s * n, drives + (s + 1) * n, n, dt, a, w);
            }
            for (int j = 0; j < n; j++) past[j * stride + newest + 1 + s] = x[j];
        }
    }
}
