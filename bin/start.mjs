// Types are stripped and modules compiled once; the next start finds the result in the cache.
import module from 'node:module';

module.enableCompileCache();
await import('../src/main.ts');
