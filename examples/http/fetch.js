// @ts-check
/** The newsroom as a function from `Request` to `Response`, here served by Node: `node examples/http/fetch.js`. */
import { serve } from '@hono/node-server'
import { cachedFetch } from 'tierwheel/http/fetch'
import { change, listening, pageOf, pages } from './newsroom.js'

const handler = cachedFetch(pages, async (request) => {
  const { pathname } = new URL(request.url)
  if (request.method === 'POST') {
    await change(pathname, await request.text())
    return new Response(null, { status: 204 })
  }
  const { body, headers } = pageOf(pathname, 'fetch')
  return new Response(body, { headers })
})
serve({ fetch: (request) => handler(request), port: 0, hostname: '127.0.0.1' }, listening)
