import { main } from '#src/cli/index.ts';
import { createIo } from '#src/cli/io.ts';

process.exit(await main(process.argv.slice(2), createIo()));
