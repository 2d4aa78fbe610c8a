/** Asks a hub what a model's repository holds: the commit of a revision, and its files with their checksums. */
import { z } from 'zod'
import { LabError, messageOf } from '../../errors.ts'

/** Where models come from; from the environment unless given. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string
  readonly token: string | null
  /** Nothing is asked of the network. */
  readonly offline: boolean
  /** Waits before asking again after a failure, doubled each time. */
  readonly retryMs: number
}

/** HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE, as the hub's own programs read them. */
export function hubSettings(env: Readonly<Record<string, string | undefined>> = process.env): HubSettings {
  return {
    endpoint: (env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, ''),
    token: env['HF_TOKEN'] || null,
    offline: ['1', 'true', 'yes', 'on'].includes((env['HF_HUB_OFFLINE'] ?? '').toLowerCase()),
    retryMs: 1000,
  }
}

/** A model of a hub, at a branch, tag or commit. */
export interface HubModel {
  /** `organisation/name`. */
  readonly repo: string
  readonly revision: string
}

/** A file of a commit. */
export interface HubFile {
  readonly path: string
  readonly size: number
  /** Of large files; small ones have only git's hash. */
  readonly sha256: string | null
  /** Git's name of a small file's content: sha1 of `blob SIZE\0` and the bytes. */
  readonly gitSha1: string | null
}

const infoSchema = z.looseObject({ sha: z.string().regex(/^[0-9a-f]{40}$/) })
const treeSchema = z.array(
  z.looseObject({
    type: z.string(),
    path: z.string(),
    size: z.int().nonnegative().optional(),
    oid: z.string().optional(),
    lfs: z.looseObject({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).nullish(),
  }),
)

/** The commit that a revision is now. Throws BAD_MODEL. */
export async function resolveCommit(
  { repo, revision }: HubModel,
  settings: HubSettings,
  signal: AbortSignal,
): Promise<string> {
  const url = `${settings.endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}`
  const response = await request(url, { model: { repo, revision }, settings, signal })
  return parsed(url, infoSchema, await response.json().catch(() => null)).sha
}

/** The files of a commit, those in folders left out. Throws BAD_MODEL. */
export async function listFiles(
  model: HubModel,
  settings: HubSettings,
  signal: AbortSignal,
): Promise<HubFile[]> {
  const files: HubFile[] = []
  let url: string | null = `${settings.endpoint}/api/models/${model.repo}/tree/${model.revision}`
  while (url !== null) {
    const response = await request(url, { model, settings, signal })
    for (const { type, path, size, oid, lfs } of parsed(
      url,
      treeSchema,
      await response.json().catch(() => null),
    )) {
      if (type !== 'file' || path.includes('/')) continue
      files.push({
        path,
        size: lfs?.size ?? size ?? 0,
        sha256: lfs?.oid ?? null,
        gitSha1: lfs ? null : (oid ?? null),
      })
    }
    url = nextPage(response.headers.get('link'), settings.endpoint)
  }
  return files
}

/** The address behind `rel="next"`, if it is one of the same hub. */
function nextPage(link: string | null, endpoint: string): string | null {
  const next = link?.match(/<([^>]+)>;\s*rel="next"/)?.[1]
  if (next === undefined) return null
  const url = new URL(next, endpoint)
  return url.origin === new URL(endpoint).origin ? url.href : null
}

function parsed<T>(url: string, schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw new LabError('BAD_MODEL', `${url}: the answer is not that of a model hub`, {
    hint: 'HF_ENDPOINT names the hub',
  })
}

export interface RequestContext {
  readonly model: HubModel
  readonly settings: HubSettings
  readonly signal: AbortSignal
}

/** A request with the token. Throws BAD_MODEL if the hub cannot be reached or refuses; the caller tries again if it will. */
export async function request(
  url: string,
  { model, settings, signal }: RequestContext,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  if (settings.offline) throw unreachable(model, settings, 'HF_HUB_OFFLINE is set')
  const authorization = settings.token === null ? {} : { authorization: `Bearer ${settings.token}` }
  const response = await fetch(url, { headers: { ...authorization, ...headers }, signal }).catch(
    (error: unknown) => {
      if (signal.aborted) throw error
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw unreachable(model, settings, messageOf(cause), error)
    },
  )
  if (response.ok) return response
  await response.body?.cancel()
  throw refusal(model, settings, response.status)
}

/** What to do where there is no network. */
function byHand({ repo, revision }: HubModel): string {
  const at = revision === 'main' ? '' : ` --revision ${revision}`
  return `where there is a network: hf download ${repo}${at} --local-dir MODEL; then write folder: MODEL instead of hub:`
}

function unreachable(model: HubModel, settings: HubSettings, why: string, cause?: unknown): LabError {
  return new LabError(
    'BAD_MODEL',
    `${model.repo} is not on this machine, and ${settings.endpoint} cannot be reached (${why})`,
    { hint: byHand(model), cause },
  )
}

/** To ask again is of no use: access is denied, or there is no such thing. */
export function isDefinite(error: unknown): error is LabError {
  return error instanceof LabError && (error.cause === 401 || error.cause === 403 || error.cause === 404)
}

/** Its cause is the status. */
function refusal(model: HubModel, { endpoint, token }: HubSettings, status: number): LabError {
  const { repo, revision } = model
  if (status === 401 || status === 403) {
    return new LabError('BAD_MODEL', `${endpoint} does not give ${repo} (status ${status})`, {
      hint:
        token === null
          ? 'if it needs an account, set HF_TOKEN; the name may also be misspelt'
          : 'the account of HF_TOKEN must have accepted the terms on the page of the model',
      cause: status,
    })
  }
  if (status === 404) {
    return new LabError('BAD_MODEL', `${endpoint} has no model ${repo} at revision ${revision}`, {
      hint: 'hub: organisation/name; revision: a branch, a tag or a commit',
      cause: status,
    })
  }
  return new LabError('BAD_MODEL', `${endpoint} answered with status ${status} when asked for ${repo}`, {
    hint: 'the same command goes on where it stopped',
  })
}
