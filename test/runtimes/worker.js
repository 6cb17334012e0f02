// @ts-check
/** The smoke program on an edge worker: the core is compiled at deployment, and nothing runs at import time. */
import { smoke } from './smoke.js'

const worker = {
  async fetch() {
    return Response.json(await smoke())
  },
}

export { worker as default }
