// @ts-check
/** The newsroom on Koa: `node examples/http/koa.js`. */
import { text } from 'node:stream/consumers'
import Koa from 'koa'
import { koaCache } from 'tierwheel/http/koa'
import { change, listening, pageOf, pages } from './newsroom.js'

const { site } = koaCache(pages)
const app = new Koa()
app.use(site)
app.use(async (context) => {
  if (context.method === 'POST') {
    await change(context.path, await text(context.req))
    context.status = 204
  } else {
    const { body, headers } = pageOf(context.path, 'Koa')
    context.body = body
    context.set(headers)
  }
})
const server = app.listen(0, '127.0.0.1', () => listening(server.address()))
