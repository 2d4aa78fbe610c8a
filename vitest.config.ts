/** Two projects: `unit` (beside the code, part of `npm run check`) and `e2e` (the real CLI). Parity, torch, slurm and faults have their own commands. */
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const shared = {
  pool: 'forks' as const,
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  test: {
    // Two on two cores as well: many tests wait for a process or a clock.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'],
          // A worker loads a module once for all its files: a file puts back what it changes of the process.
          isolate: false,
        },
      },
      { test: { ...shared, name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: { ...shared, name: 'twins', include: ['test/twins/**/*.test.ts'], testTimeout: 1_800_000 },
      },
      { test: { ...shared, name: 'parity', include: ['test/parity/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: {
          ...shared,
          name: 'torch',
          include: ['test/torch/**/*.test.ts'],
          env: { OMP_NUM_THREADS: '1' },
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { test: { ...shared, name: 'slurm', include: ['test/slurm/**/*.test.ts'], testTimeout: 280_000 } },
      { test: { ...shared, name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 600_000 } },
    ],
  },
})
