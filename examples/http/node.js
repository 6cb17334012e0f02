// @ts-check
/** The newsroom on `node:http`: `node examples/http/node.js`. */
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { cachedListener } from 'tierwheel/http/node'
import { change, listening, pageOf, pages } from './newsroom.js'

const server = createServer(
  cachedListener(pages, async (request, response) => {
    const path = request.url ?? '/'
    if (request.method === 'POST') {
      await change(path, await text(request))
      response.writeHead(204).end()
    } else {
      const { body, headers } = pageOf(path, 'node:http')
      response.writeHead(200, headers).end(body)
    }
  }),
)
server.listen(0, '127.0.0.1', () => listening(server.address()))
