/** The recorded teacher: the response that the prompt's own file holds. */
import type { Teacher } from './teacher.ts'

/** Recorded responses count as complete, since files do not say how they ended; a row without one is an error. */
export const recordedTeacher: Teacher = (rows) =>
  Promise.resolve(
    rows.map(({ id, response }) =>
      response === undefined
        ? { id, finish: 'error', reason: 'no_recorded_response' }
        : { id, text: response, finish: 'stop' },
    ),
  )
