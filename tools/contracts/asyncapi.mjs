// Parses an AsyncAPI document by the recommended rules and prints what they find; anything is a failure.
import { Parser, fromFile } from '@asyncapi/parser';

const document = process.argv[2];
const { diagnostics } = await fromFile(new Parser(), document).parse();
for (const d of diagnostics) console.error(`${document}:${d.range.start.line + 1}: ${d.code}: ${d.message}`);
process.exitCode = diagnostics.length > 0 ? 1 : 0;
