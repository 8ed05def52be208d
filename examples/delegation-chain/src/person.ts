/** More pages than a login has. */
const MAX_PAGES = 20;

/**
 * A person with a browser, for when there is neither: it follows redirects, keeps cookies, and fills in the forms that the
 * authorization server shows.
 */
export function person(name: string): (url: URL) => Promise<void> {
  const cookies = new Map<string, string>();
  const typed: Readonly<Record<string, string>> = { login: name, password: 'any' };

  return async (start) => {
    let url = start;
    let form: URLSearchParams | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
        ...(form === undefined ? {} : { method: 'POST', body: form }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, key = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        if (value === '') cookies.delete(key);
        else cookies.set(key, value);
      }
      const location = response.headers.get('location');
      const page = await response.text();
      form = undefined;
      if (location !== null) {
        url = new URL(location, url);
        continue;
      }
      // The last page, of the program that wanted the login, has none.
      const [, shown] = /(<form\b[\s\S]*?)<\/form>/.exec(page) ?? [];
      if (shown === undefined) return;
      url = new URL(attribute(shown, 'action') ?? '', url);
      form = new URLSearchParams();
      for (const [input] of shown.matchAll(/<input\b[^>]*>/g)) {
        const field = attribute(input, 'name');
        if (field !== undefined) form.set(field, attribute(input, 'value') ?? typed[field] ?? '');
      }
    }
    throw new Error('The login does not come to an end.');
  };
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&');
}
