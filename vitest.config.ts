/** Two projects: `unit` (beside the code, part of `npm run check`) and `e2e` (the real CLI). Parity and faults have their own commands. */
import { defineConfig } from 'vitest/config'

const shared = {
  pool: 'forks' as const,
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  test: {
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
      { test: { ...shared, name: 'parity', include: ['test/parity/**/*.test.ts'], testTimeout: 300_000 } },
      { test: { ...shared, name: 'faults', include: ['test/faults/**/*.test.ts'], testTimeout: 600_000 } },
    ],
  },
})
