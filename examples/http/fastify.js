// @ts-check
/** The newsroom on Fastify: `node examples/http/fastify.js`. */
import fastify from 'fastify'
import { fastifyCache } from 'tierwheel/http/fastify'
import { change, listening, pageOf, pages } from './newsroom.js'

const app = fastify()
await app.register(fastifyCache, { http: pages })
for (const url of ['/', '/news/:id']) {
  app.get(url, { config: { cache: {} } }, (request, reply) => {
    const { body, headers } = pageOf(request.url, 'Fastify')
    return reply.headers(headers).send(body)
  })
}
app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
app.post('/news/:id', async (request, reply) => {
  await change(request.url, String(request.body))
  return reply.code(204).send()
})
await app.listen({ port: 0, host: '127.0.0.1' })
listening(app.server.address())
