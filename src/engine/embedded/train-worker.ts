/** Entry of the thread of one training. */
import { parentPort, workerData } from 'node:worker_threads'
import { LabError, messageOf } from '../../errors.ts'
import { runTask } from './train-loop.ts'
import type { TrainTask, WorkerMessage } from './train-task.ts'

const post = (message: WorkerMessage): void => parentPort?.postMessage(message, [])

try {
  await runTask(workerData as TrainTask, (event) => post({ type: 'event', event }))
  post({ type: 'done' })
} catch (error) {
  post({
    type: 'failed',
    code: error instanceof LabError ? error.code : 'ENGINE',
    message: messageOf(error),
    hint: error instanceof LabError ? error.hint : undefined,
    stack: error instanceof Error ? error.stack : undefined,
  })
}
