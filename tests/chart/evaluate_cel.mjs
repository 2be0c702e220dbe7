// Evaluates CEL expressions: reads a line [{expression, variables}...] of JSON after the other on standard input, and answers each
// with a line: the results, or {error}.
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const {evaluate} = await import(pathToFileURL(process.argv[2] + '/lib/index.js'));

function answer(line) {
  try {
    return JSON.stringify(JSON.parse(line).map(({expression, variables}) => evaluate(expression, variables)));
  } catch (error) {
    return JSON.stringify({error: String(error)});
  }
}

for await (const line of createInterface({input: process.stdin})) console.log(answer(line));
