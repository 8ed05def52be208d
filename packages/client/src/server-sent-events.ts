/**
 * Takes the pieces of an event stream and gives back the data of each event that they complete.
 *
 * @param most characters that an event may have; the data of a longer one is not kept
 */
export function eventReader(most: number): (piece: string) => readonly string[] {
  let line = '';
  let data: string[] = [];
  let size = 0;

  const endLine = (events: string[]) => {
    const content = line.endsWith('\r') ? line.slice(0, -1) : line;
    line = '';
    if (content === '') {
      if (data.length > 0 && size <= most) events.push(data.join('\n'));
      data = [];
      size = 0;
    } else if (content.startsWith('data:') && size <= most) {
      data.push(content.slice(content.startsWith('data: ') ? 6 : 5));
    }
  };

  return (piece) => {
    const events: string[] = [];
    let start = 0;
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
      add(piece.slice(start, end));
      endLine(events);
      start = end + 1;
    }
    add(piece.slice(start));
    return events;
  };

  function add(part: string): void {
    size += part.length;
    // What is too long is dropped, but that it is no empty line must remain known.
    if (size <= most) line += part;
    else if (part !== '' && part !== '\r') line = ':';
  }
}
