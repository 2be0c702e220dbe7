// Evaluates CEL expressions: reads [{expression, variables}] as JSON on standard input, prints the results.
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const {evaluate} = await import(pathToFileURL(process.argv[2] + '/lib/index.js'));
const cases = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(cases.map(({expression, variables}) => evaluate(expression, variables))));
