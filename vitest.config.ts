/** Two projects: `unit` (beside the code, part of `npm run check`) and `e2e` (the real CLI). Parity, faults and slurm have their own commands. */
import { defineConfig } from 'vitest/config'

const shared = {
  pool: 'forks' as const,
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: 'unit', include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'] } },
      { test: { ...shared, name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000 } },
      { test: { ...shared, name: 'parity', include: ['test/parity/**/*.test.ts'], testTimeout: 300_000 } },
      { test: { ...shared, name: 'slurm', include: ['test/slurm/**/*.test.ts'], testTimeout: 280_000 } },
      { test: { ...shared, name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 600_000 } },
    ],
  },
})
