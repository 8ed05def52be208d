import { describeGeneratedRequests } from '../support/describe-generated-requests.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests } from '../support/server.js';
import { startFetchAgent } from './support.js';

closeServersAfterTests();
muteConsole();

describeGeneratedRequests('agentFetchHandler', () => startFetchAgent({ lifetime: 'file' }));
