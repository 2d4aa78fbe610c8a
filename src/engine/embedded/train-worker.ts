/** Entry of a training thread: takes tasks one after another and keeps compiled sessions between them. */
import { parentPort, workerData } from 'node:worker_threads'
import { LabError, messageOf } from '../../errors.ts'
import { guarded, type GuardState } from './native-guard.ts'
import { runTask } from './train-loop.ts'
import { openTrainSession, type TrainSession } from './train-session.ts'
import type { TrainTask, WorkerMessage } from './train-task.ts'

/** Sessions kept a worker: the models of one experiment, and their activations stay allocated. */
const MAX_SESSIONS = 3
/** Set by the crew that started this thread. */
const guard = workerData as GuardState
const sessions = new Map<string, Promise<TrainSession>>()

const post = (message: WorkerMessage): void => parentPort?.postMessage(message, [])

parentPort?.on('message', (task: TrainTask) => {
  runTask(task, {
    emit: (event) => post({ type: 'event', event }),
    session: (T, B) => sessionFor(task, T, B),
  }).then(
    () => post({ type: 'done' }),
    (error: unknown) =>
      post({
        type: 'failed',
        code: error instanceof LabError ? error.code : 'ENGINE',
        message: messageOf(error),
        hint: error instanceof LabError ? error.hint : undefined,
        stack: error instanceof Error ? error.stack : undefined,
      }),
  )
})

/** The least recently used session makes room for a new one. */
async function sessionFor({ config }: TrainTask, T: number, B: number): Promise<TrainSession> {
  const key = JSON.stringify([config, T, B])
  const session =
    sessions.get(key) ?? openTrainSession(config, { T, B, guard: (call) => guarded(guard, call) })
  sessions.delete(key)
  sessions.set(key, session)
  for (const [old, idle] of sessions) {
    if (sessions.size <= MAX_SESSIONS) break
    sessions.delete(old)
    await (await idle).release()
  }
  return session
}
