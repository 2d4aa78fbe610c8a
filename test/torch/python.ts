/** Whether the tests of the torch engine can run here: its Python, its package, and a server. */
import { checkEnvironment, pythonOf, wantedVersions } from '../../src/engine/torch/environment.ts'
import { chooseServer } from '../../src/engine/torch/server-process.ts'
import { messageOf } from '../../src/errors.ts'

export const python = pythonOf(null)

/** Why not, or null. Where CI is set, a missing environment is a failure. */
export async function missingTorch(): Promise<string | null> {
  return reasonOf(async () => {
    await checkEnvironment(python, wantedVersions())
  })
}

/** Why `transformers serve` cannot run here, or null. */
export async function missingServer(): Promise<string | null> {
  return (
    (await missingTorch()) ?? reasonOf(async () => void (await chooseServer('transformers', python, 'cpu')))
  )
}

async function reasonOf(check: () => Promise<void>): Promise<string | null> {
  try {
    await check()
    return null
  } catch (error) {
    if (process.env['CI']) throw error
    process.stderr.write(`skipped: ${messageOf(error)}\n`)
    return messageOf(error)
  }
}
