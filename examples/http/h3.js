// @ts-check
/** The newsroom on h3, served by the listener of Hono's Node server: `node examples/http/h3.js`. */
import { serve } from '@hono/node-server'
import { H3, toResponse } from 'h3'
import { h3Cache } from 'tierwheel/http/h3'
import { change, listening, pageOf, pages } from './newsroom.js'

const app = new H3()
const { site } = h3Cache(pages, { toResponse })
app.use(site)
for (const path of ['/', '/news/:id']) {
  app.get(path, (event) => {
    const { body, headers } = pageOf(event.url.pathname, 'h3')
    return new Response(body, { headers })
  })
}
app.post('/news/:id', async (event) => {
  await change(event.url.pathname, await event.req.text())
  return new Response(null, { status: 204 })
})
serve({ fetch: (request) => app.fetch(request), port: 0, hostname: '127.0.0.1' }, listening)
