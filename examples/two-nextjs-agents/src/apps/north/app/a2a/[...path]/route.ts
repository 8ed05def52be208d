import { handle } from '../../../agent.js';

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';
export { handle as DELETE, handle as GET, handle as POST };
