/** Asks a hub what a repository holds: the commit of a revision, and its files with their checksums. */
import { z } from 'zod'
import { type ErrorCode, LabError, type LabErrorOptions, messageOf } from '../../errors.ts'

/** Where models and datasets come from; from the environment unless given. */
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

/** A repository of a hub, at a branch, tag or commit. */
export interface HubRepo {
  readonly kind: 'model' | 'dataset'
  /** `organisation/name`. */
  readonly repo: string
  readonly revision: string
}

/** What was read of a repository. */
export interface HubRead extends HubRepo {
  /** That the revision stands for. */
  readonly commit: string
  /** Of a data file, `*` for shards; null: a model. */
  readonly path: string | null
}

/** Where a kind has its addresses, and whose fault it is if one cannot be had. */
const kinds = {
  model: { api: 'api/models', files: '', code: 'BAD_MODEL' },
  dataset: { api: 'api/datasets', files: 'datasets/', code: 'BAD_INPUT' },
} as const satisfies Record<HubRepo['kind'], { api: string; files: string; code: ErrorCode }>

/** BAD_MODEL of a model, BAD_INPUT of a dataset. */
export const codeOf = ({ kind }: HubRepo): ErrorCode => kinds[kind].code

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

/** The commit that a revision is now. Throws codeOf(repo). */
export async function resolveCommit(context: RequestContext): Promise<string> {
  const { repo, settings } = context
  const revision = encodeURIComponent(repo.revision)
  const url = `${settings.endpoint}/${kinds[repo.kind].api}/${repo.repo}/revision/${revision}`
  const response = await request(url, context)
  return parsed(url, repo, infoSchema, await response.json().catch(() => null)).sha
}

/** The files of a commit; of a model those in folders are left out. Throws codeOf(repo). */
export async function listFiles(context: RequestContext): Promise<HubFile[]> {
  const { repo, settings } = context
  const files: HubFile[] = []
  const all = repo.kind === 'dataset' ? '?recursive=true' : ''
  let url: string | null =
    `${settings.endpoint}/${kinds[repo.kind].api}/${repo.repo}/tree/${repo.revision}${all}`
  while (url !== null) {
    const response = await request(url, context)
    const entries = parsed(url, repo, treeSchema, await response.json().catch(() => null))
    for (const { type, path, size, oid, lfs } of entries) {
      if (type !== 'file' || !staysInside(path)) continue
      if (repo.kind === 'model' && path.includes('/')) continue
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

/** Address of a file of a commit. */
export function fileUrl({ repo, settings }: RequestContext, path: string): string {
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  return `${settings.endpoint}/${kinds[repo.kind].files}${repo.repo}/resolve/${repo.revision}/${encoded}`
}

/** A hub is not trusted with where files are written. */
function staysInside(path: string): boolean {
  return !/[\\\0]/.test(path) && path.split('/').every((name) => name !== '' && !/^\.\.?$/.test(name))
}

/** The address behind `rel="next"`, if it is one of the same hub. */
function nextPage(link: string | null, endpoint: string): string | null {
  const next = link?.match(/<([^>]+)>;\s*rel="next"/)?.[1]
  if (next === undefined) return null
  const url = new URL(next, endpoint)
  return url.origin === new URL(endpoint).origin ? url.href : null
}

function parsed<T>(url: string, repo: HubRepo, schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw new LabError(codeOf(repo), `${url}: the answer is not that of a model hub`, {
    hint: 'HF_ENDPOINT names the hub',
  })
}

export interface RequestContext {
  readonly repo: HubRepo
  readonly settings: HubSettings
  readonly signal: AbortSignal
}

/** A request with the token. Throws codeOf(repo) if the hub cannot be reached or refuses; the caller tries again if it will. */
export async function request(
  url: string,
  { repo, settings, signal }: RequestContext,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  if (settings.offline) throw unreachable(repo, settings, 'HF_HUB_OFFLINE is set')
  const authorization = settings.token === null ? {} : { authorization: `Bearer ${settings.token}` }
  const response = await fetch(url, { headers: { ...authorization, ...headers }, signal }).catch(
    (error: unknown) => {
      if (signal.aborted) throw error
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw unreachable(repo, settings, messageOf(cause), error)
    },
  )
  if (response.ok) return response
  await response.body?.cancel()
  throw refusal(repo, settings, response.status)
}

/** The hub did not say: it cannot be reached, denies access or is out of order. That there is no such thing is another error. */
export class HubSilence extends LabError {
  /** Without what was asked for, in a few words. */
  readonly reason: string

  constructor(
    code: ErrorCode,
    message: string,
    { reason, ...options }: LabErrorOptions & { reason: string },
  ) {
    super(code, message, options)
    this.reason = reason
  }
}

/** What to do where there is no network. */
function byHand({ kind, repo, revision }: HubRepo): string {
  const at = revision === 'main' ? '' : ` --revision ${revision}`
  const fetched = `where there is a network: hf download ${repo}${at}`
  return kind === 'model'
    ? `${fetched} --local-dir MODEL; then write folder: MODEL instead of hub:`
    : `${fetched} --repo-type dataset --local-dir DATA; then name the file in DATA (file: in an experiment) instead of hub:`
}

function unreachable(repo: HubRepo, settings: HubSettings, why: string, cause?: unknown): LabError {
  const what = repo.kind === 'model' ? repo.repo : `what is asked of ${repo.repo}`
  return new HubSilence(
    codeOf(repo),
    `${what} is not on this machine, and ${settings.endpoint} cannot be reached (${why})`,
    { hint: byHand(repo), cause, reason: `${settings.endpoint} cannot be reached (${why})` },
  )
}

/** To ask again is of no use: access is denied, or there is no such thing. */
export function isDefinite(error: unknown): error is LabError {
  return error instanceof LabError && (error.cause === 401 || error.cause === 403 || error.cause === 404)
}

/** Its cause is the status. */
function refusal(asked: HubRepo, { endpoint, token }: HubSettings, status: number): LabError {
  const { kind, repo, revision } = asked
  const code = codeOf(asked)
  if (status === 401 || status === 403) {
    return new HubSilence(code, `${endpoint} does not give ${repo} (status ${status})`, {
      hint:
        token === null
          ? 'if it needs an account, set HF_TOKEN; the name may also be misspelt'
          : `the account of HF_TOKEN must have accepted the terms on the page of the ${kind}`,
      cause: status,
      reason: `${endpoint} denies access (status ${status})`,
    })
  }
  if (status === 404) {
    return new LabError(code, `${endpoint} has no ${kind} ${repo} at revision ${revision}`, {
      hint: 'hub: organisation/name; revision: a branch, a tag or a commit',
      cause: status,
    })
  }
  return new HubSilence(code, `${endpoint} answered with status ${status} when asked for ${repo}`, {
    hint: 'the same command goes on where it stopped',
    reason: `${endpoint} answered with status ${status}`,
  })
}
