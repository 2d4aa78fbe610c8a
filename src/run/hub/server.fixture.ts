/** A hub of our own over HTTP, of a model and of datasets: revisions, trees and files with ranges, and every way in which one of them can fail. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export interface ServedRequest {
  readonly path: string
  readonly range: string | null
  readonly authorization: string | null
  /** Bytes of the body that were sent. */
  sent: number
}

export interface HubServer {
  readonly endpoint: string
  readonly requests: ServedRequest[]
  /** What the hub does; may be changed while it serves. */
  readonly faults: {
    /** The connection breaks after so many bytes of a file. */
    cutAfter: number | null
    /** The last byte of every file is another one. */
    corrupt: boolean
    ignoreRange: boolean
    /** Only who sends this token is answered. */
    token: string | null
    /** Large files are sent from here instead. */
    cdn: string | null
    status: number | null
    /** The same, where a file is asked for: what a gated repository does. */
    fileStatus: number | null
    /** Added to the list of files. */
    extra: unknown[]
  }
  commit: string
  close(): Promise<void>
}

const sha = (algorithm: string, data: Buffer | string): string =>
  createHash(algorithm).update(data).digest('hex')
/** Files from this size on are large: they have a sha256. */
const largeBytes = 4096

/** Branches that the hub has; all are at its commit. */
const branches = ['main', 'refs/convert/parquet']
const repository = /^\/api\/(models|datasets)\/([\w.-]+\/[\w.-]+)\/(revision|tree)\/([^/]+)$/
const resolved = /^\/(datasets\/)?([\w.-]+\/[\w.-]+)\/resolve\/([0-9a-f]{40})\/(.+)$/

/** Serves one folder as the model `lab/tiny`, and folders as datasets and as other models by their names. */
export async function serveHub(
  model: string | null,
  datasets: Readonly<Record<string, string>> = {},
  models: Readonly<Record<string, string>> = {},
): Promise<HubServer> {
  const folderOf = (dataset: boolean, repo: string): string | null =>
    (dataset ? datasets[repo] : repo === 'lab/tiny' ? model : models[repo]) ?? null
  const requests: ServedRequest[] = []
  const faults: HubServer['faults'] = {
    cutAfter: null,
    corrupt: false,
    ignoreRange: false,
    token: null,
    cdn: null,
    status: null,
    fileStatus: null,
    extra: [],
  }
  const entry = (folder: string, path: string): unknown => {
    if (statSync(join(folder, path)).isDirectory())
      return { type: 'directory', path, size: 0, oid: '0'.repeat(40) }
    const data = readFileSync(join(folder, path))
    const oid = sha('sha1', Buffer.concat([Buffer.from(`blob ${data.length}\0`), data]))
    const lfs = { oid: sha('sha256', data), size: data.length, pointerSize: 130 }
    return { type: 'file', path, size: data.length, oid, ...(data.length >= largeBytes ? { lfs } : {}) }
  }
  const tree = (folder: string, recursive: boolean): unknown[] => [
    { type: 'directory', path: 'onnx', size: 0, oid: '0'.repeat(40) },
    ...readdirSync(folder, { recursive, encoding: 'utf8' }).map((path) => entry(folder, path)),
    ...faults.extra,
  ]

  const sendFile = (
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    seen: ServedRequest,
  ): void => {
    const data = Buffer.from(readFileSync(path))
    if (faults.corrupt) data.writeUInt8(data.readUInt8(data.length - 1) ^ 1, data.length - 1)
    const start = faults.ignoreRange ? 0 : Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0)
    const body = data.subarray(start)
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': body.length,
      ...(start > 0 ? { 'content-range': `bytes ${start}-${data.length - 1}/${data.length}` } : {}),
    })
    const part = faults.cutAfter === null ? body : body.subarray(0, faults.cutAfter)
    seen.sent = part.length
    if (part.length === body.length) response.end(part)
    else response.write(part, () => setTimeout(() => response.destroy(), 20))
  }

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://hub')
    const seen: ServedRequest = {
      path: pathname,
      range: request.headers.range ?? null,
      authorization: request.headers.authorization ?? null,
      sent: 0,
    }
    requests.push(seen)
    const json = (value: unknown, headers = {}): void => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
    }
    if (faults.status !== null) return void response.writeHead(faults.status).end()
    if (faults.token !== null && seen.authorization !== `Bearer ${faults.token}`)
      return void response.writeHead(401).end()
    const commit = state.commit
    const [, kind, repo = '', what, revision = ''] = repository.exec(pathname) ?? []
    const listed = folderOf(kind === 'datasets', repo)
    if (listed !== null && what === 'revision' && branches.includes(decodeURIComponent(revision)))
      return json({ id: repo, sha: commit })
    if (listed !== null && what === 'tree' && revision === commit) {
      // Two pages.
      const all = tree(listed, searchParams.get('recursive') === 'true')
      const half = all.length >> 1
      const next = `<${state.endpoint}${request.url}${searchParams.size > 0 ? '&' : '?'}cursor=2>; rel="next"`
      return searchParams.has('cursor') ? json(all.slice(half)) : json(all.slice(0, half), { link: next })
    }
    const [, ofDataset, owner = '', at, encoded = ''] = resolved.exec(pathname) ?? []
    const folder = folderOf(ofDataset !== undefined, owner)
    const path = join(folder ?? '', ...encoded.split('/').map(decodeURIComponent))
    if (folder !== null && at === commit && existsSync(path)) {
      if (faults.fileStatus !== null) return void response.writeHead(faults.fileStatus).end()
      const isLarge = readFileSync(path).length >= largeBytes
      if (faults.cdn !== null && isLarge)
        return void response.writeHead(302, { location: `${faults.cdn}${pathname}` }).end()
      return sendFile(path, request, response, seen)
    }
    response.writeHead(404).end()
  }

  const server: Server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const state: HubServer = {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    faults,
    commit: sha('sha1', 'first'),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return state
}
