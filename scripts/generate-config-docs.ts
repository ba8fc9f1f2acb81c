// Writes the pages that are made of the configuration's keys: npm exec -- node scripts/generate-config-docs.ts
import { writeFileSync } from 'node:fs';
import { configManual, configSample } from '#src/platform/config/manual.ts';

const docs = new URL('../docs/', import.meta.url);
writeFileSync(new URL('configuration.md', docs), configManual());
writeFileSync(new URL('homeserver.sample.yaml', docs), configSample());
