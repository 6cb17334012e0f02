// @ts-check
/** The smoke program on a command line: Node, Deno and Bun. */
import { smoke } from './smoke.js'

const report = await smoke()
console.log(JSON.stringify(report))
if (!report.ok) throw new Error('smoke failed')
