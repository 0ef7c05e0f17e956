// The arguments of both programs.

export interface Asked {
  url: string;
  n: number;
  terms: number;
}

export function asked(): Asked {
  const [url, n, terms] = process.argv.slice(2);
  if (!url || !Number.isInteger(Number(n)) || !Number.isInteger(Number(terms))) {
    console.error('usage: node dist/main.js URL N TERMS, such as node dist/main.js http://127.0.0.1:8000 213 1000');
    process.exit(2);
  }
  return { url, n: Number(n), terms: Number(terms) };
}
