// @ts-check
/** The newsroom on Hono: `node examples/http/hono.js`. */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { honoCache } from 'tierwheel/http/hono'
import { change, listening, pageOf, pages } from './newsroom.js'

const app = new Hono()
const { site } = honoCache(pages, { app })
app.use(site)
app.on('GET', ['/', '/news/:id'], (context) => {
  const { body, headers } = pageOf(context.req.path, 'Hono')
  return context.body(body, 200, headers)
})
app.post('/news/:id', async (context) => {
  await change(context.req.path, await context.req.text())
  return context.body(null, 204)
})
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, listening)
