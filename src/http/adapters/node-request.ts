// A Node request as the cache sees it, and a pair of request and response without a client, in which a handler makes a
// page again behind a stale answer.

import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import type { Exchange } from '../exchange.ts'
import type { HttpCache, Incoming } from '../http-cache.ts'
import type { Fields } from '../policy/fields.ts'

/** A host and port that may stand in a URL: what else a client puts into `Host` names no page. */
const hostForm = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/

/**
 * The request, by what its connection says; with `trustProxy` by what the proxy in front says.
 *
 * @param target - Path and query as the client sent them, where a framework changes `request.url`.
 */
export function incomingOf(request: IncomingMessage, target: string, http: HttpCache): Incoming {
  const method = request.method ?? 'GET'
  const fields = request.headers as Fields
  return { method, fields, url: urlOf(request, target, http.trustsProxy) }
}

function urlOf(
  { headers, socket }: IncomingMessage,
  target: string,
  trustsProxy: boolean,
): string | undefined {
  const isEncrypted = (socket as { encrypted?: boolean } | null)?.encrypted === true
  const ownScheme = isEncrypted ? 'https' : 'http'
  const scheme = trustsProxy
    ? (forwarded(headers['x-forwarded-proto'])?.toLowerCase() ?? ownScheme)
    : ownScheme
  const host = (trustsProxy ? forwarded(headers['x-forwarded-host']) : undefined) ?? headers.host ?? ''
  const origin = originOf(scheme, host)
  // The asterisk and absolute forms are for servers and proxies; a fragment is never sent by a client.
  if (origin === undefined || target.charCodeAt(0) !== 0x2f || target.includes('#')) return undefined
  return origin + target
}

function forwarded(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value.split(',')[0]?.trim() : undefined
}

/** Most requests are for the host that the last one was for. */
let latest = { scheme: '', host: '', origin: '' }

function originOf(scheme: string, host: string): string | undefined {
  if (host === latest.host && scheme === latest.scheme) return latest.origin
  if ((scheme !== 'http' && scheme !== 'https') || !hostForm.test(host)) return undefined
  latest = { scheme, host, origin: `${scheme}://${host.toLowerCase()}` }
  return latest.origin
}

/** A refresh that a request without a client carries. */
interface Refresh {
  readonly http: HttpCache
  readonly exchange: Exchange
}

const refreshes = new WeakMap<IncomingMessage, Refresh>()

/** The exchange that this request was made for, if it was made to refresh a page of `http`. */
export function refreshOf(request: IncomingMessage, http: HttpCache): Exchange | undefined {
  const refresh = refreshes.get(request)
  return refresh?.http === http ? refresh.exchange : undefined
}

/** What handles requests: an application, or a handler. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * Runs `listener` for an exchange without a client. What it sends goes by the exchange and nowhere else; what it throws
 * leaves the stale page where it is.
 *
 * @param original - The request that met the stale page.
 * @param target - Its path and query, as `listener` expects them.
 */
export function runDetached(
  listener: Listener,
  original: IncomingMessage,
  target: string,
  http: HttpCache,
  exchange: Exchange,
): void {
  const { remoteAddress, remotePort, localAddress, localPort } = original.socket ?? {}
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const isEncrypted = (original.socket as { encrypted?: boolean } | null)?.encrypted === true
  Object.assign(socket, { remoteAddress, remotePort, localAddress, localPort, encrypted: isEncrypted })

  const request = new IncomingMessage(socket as never)
  request.method = original.method ?? 'GET'
  request.url = target
  request.headers = { ...original.headers }
  request.rawHeaders = [...original.rawHeaders]
  request.httpVersion = original.httpVersion
  request.httpVersionMajor = original.httpVersionMajor
  request.httpVersionMinor = original.httpVersionMinor
  request.complete = true
  request.push(null)
  refreshes.set(request, { http, exchange })

  const response = new ServerResponse(request)
  response.assignSocket(socket as never)
  const end = () => {
    exchange.abort()
    socket.destroy()
  }
  response.once('finish', end)
  response.once('close', end)
  Promise.resolve()
    .then(() => listener(request, response))
    .catch(end)
}
