/** A folder on a server while it is sampled: a crash survived once, and a forward process where the server cannot. */
import type { Dialect, Endpoint } from './completions.ts'
import type { ForwardProcess } from './forward.ts'
import { Unreachable } from './http.ts'
import type { Entered } from './lane.ts'
import type { ModelServer, ServedFolder } from './model-server.ts'

export class ServedModel {
  private readonly server: ModelServer
  private readonly served: ServedFolder
  /** The start of the server that was found gone. */
  private gone: object | null = null
  private forwarding: Promise<Entered<ForwardProcess>> | null = null

  constructor(server: ModelServer, served: ServedFolder) {
    this.server = server
    this.served = served
  }

  get title(): string {
    return this.server.title
  }

  get dialect(): Dialect {
    return this.server.dialect
  }

  /** Asks; where nobody answers the server is started once more, or an address is asked once more, and then it is told. */
  async ask<T>(put: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const { start } = this.server
    try {
      return await put(await this.server.endpoint(this.served))
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      this.gone ??= start
      if (this.gone !== start) throw this.server.crash(error)
      await this.server.restart(start)
      try {
        return await put(await this.server.endpoint(this.served))
      } catch (second) {
        throw second instanceof Unreachable ? this.server.crash(second) : second
      }
    }
  }

  /** Entered when it is first needed. */
  async forward(): Promise<ForwardProcess> {
    this.forwarding ??= this.server.forward(this.served)
    return (await this.forwarding).value
  }

  /** The server stays for the next folder. */
  async close(): Promise<void> {
    const entered = await this.forwarding?.catch(() => null)
    await entered?.leave()
  }
}
