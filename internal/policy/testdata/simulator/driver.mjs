// Asks the reference simulator: node driver.mjs FOLDER, where FOLDER has it
// below node_modules. Cases come on standard input and decisions go to standard
// output, one JSON value a line, in the same order: a case is the argument of
// runSimulation, a decision {"result": "Allowed"} or {"error": ...}.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(join(process.argv[2], 'package.json'))
const { runSimulation } = require('@cloud-copilot/iam-simulate')

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let answer
  try {
    const r = await runSimulation(JSON.parse(line), {})
    answer = r.resultType === 'error' ? { error: r.errors } : { result: r.overallResult, ignored: r.result?.ignoredContextKeys }
  } catch (e) {
    answer = { error: String(e?.stack ?? e) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
