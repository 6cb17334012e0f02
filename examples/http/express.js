// @ts-check
/** The newsroom on Express: `node examples/http/express.js`. */
import express from 'express'
import { expressCache } from 'tierwheel/http/express'
import { change, listening, pageOf, pages } from './newsroom.js'

const { cachePage } = expressCache(pages)
const app = express()
app.get(['/', '/news/:id'], cachePage(), (request, response) => {
  const { body, headers } = pageOf(request.path, 'Express')
  response.set(headers).send(body)
})
app.post('/news/:id', express.text({ type: () => true }), async (request, response) => {
  await change(request.path, request.body)
  response.sendStatus(204)
})
const server = app.listen(0, '127.0.0.1', () => listening(server.address()))
