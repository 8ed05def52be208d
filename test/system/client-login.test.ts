import {
  authorizationCode,
  deviceCode,
  type CredentialRequest,
  type CredentialSource,
  type DevicePrompt,
} from '@a2a-auth/client';
import { decodeJwt } from 'jose';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { startAuthorizationServer, type AuthorizationServer } from '../support/oauth/authorization-server.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { findProgram } from './programs.js';

closeServersAfterTests();

const resource = 'https://agent.example';
let server: AuthorizationServer;
let browser: Browser;

beforeAll(async () => {
  server = await startAuthorizationServer();
  server.addResource(resource);
  const executablePath = findProgram('chromium');
  if (executablePath === undefined) throw new Error('There is no chromium on PATH.');
  browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
});
afterAll(() => browser.close());

/** A page that sees nothing but this machine: the authorization server's own pages ask for a font from elsewhere. */
async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.route(
    ({ hostname }) => hostname !== '127.0.0.1',
    (route) => route.abort(),
  );
  return page;
}

async function logIn(page: Page): Promise<void> {
  await page.getByPlaceholder('Enter any login').fill('grace');
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

async function subjectOf(source: CredentialSource): Promise<unknown> {
  const request: CredentialRequest = {
    schemeId: 'person',
    scheme: { type: 'http', scheme: 'Bearer' },
    scopes: ['ask'],
    resource,
    http: { method: 'POST', url: resource },
  };
  const { headers } = await source.credential(request);
  return decodeJwt(headers?.authorization?.split(' ')[1] ?? '').sub;
}

it('a person logs in with the browser of this machine, and is told to close the window', async () => {
  const page = await openPage();
  const source = authorizationCode({
    issuer: server.issuer,
    clientId: 'native',
    openBrowser: async (url) => {
      await page.goto(url.href, { waitUntil: 'domcontentloaded' });
      await logIn(page);
    },
  });
  expect(await subjectOf(source)).toBe('grace');
  await page.getByText('You can close this window').waitFor();
});

it('a person who goes back to the login ends it by saying no', async () => {
  const page = await openPage();
  const source = authorizationCode({
    issuer: server.issuer,
    clientId: 'native',
    openBrowser: async (url) => {
      await page.goto(url.href, { waitUntil: 'domcontentloaded' });
      await page.getByRole('link', { name: 'Cancel' }).click();
    },
  });
  await expect(subjectOf(source)).rejects.toMatchObject({ code: 'LOGIN_FAILED' });
  await page.getByText('The login was not completed').waitFor();
});

it('a person logs in on another device, with the link that has the code in it', async () => {
  const source = deviceCode({
    issuer: server.issuer,
    clientId: 'terminal',
    show: async ({ verificationUriComplete, userCode }: DevicePrompt) => {
      const page = await openPage();
      await page.goto(verificationUriComplete ?? '', { waitUntil: 'domcontentloaded' });
      await page.getByText(userCode).waitFor();
      await page.getByRole('button', { name: 'Continue' }).click();
      await logIn(page);
      await page.getByText('Sign-in Success').waitFor();
    },
  });
  expect(await subjectOf(source)).toBe('grace');
});
