import { Child } from './child.js';
import { fullEffort } from './settings.js';
for (const k of process.argv.slice(2)) { const c = new Child(`decisions/${k}`, {...fullEffort, rounds: 9}); const t = await c.message<Record<string, number[]>>(); for (const [n,v] of Object.entries(t)) console.log(k, n, [...v].sort((a,b)=>a-b)[4]!.toFixed(2)); await c.stop(); }
