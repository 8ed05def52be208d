import { describeGeneratedRequests } from '../support/describe-generated-requests.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

describeGeneratedRequests('agentRouter', () => startAgent({ lifetime: 'file' }));
