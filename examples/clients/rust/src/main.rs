//! Asks a phipi for a Fibonacci number and an approximation of π, both in one request.

use std::{env, error::Error};

use graphql_client::{GraphQLQuery, Response};

/// How the derived code is to hold the scalar of the schema: `u64` ends at F(93), and `f64` loses digits.
type BigInt = String;

/// The query of `both.graphql`. The compiler refuses a field that the schema does not have.
#[derive(GraphQLQuery)]
#[graphql(schema_path = "../../../schema.graphql", query_path = "src/both.graphql")]
struct Both;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let numbers = |n: &str, terms: &str| Some(both::Variables { n: n.parse().ok()?, terms: terms.parse().ok()? });
    let asked = match &arguments[..] {
        [url, n, terms] => numbers(n, terms).map(|variables| (url, n, terms, variables)),
        _ => None,
    };
    let Some((url, n, terms, variables)) = asked else {
        return Err("usage: phipi-client URL N TERMS, such as phipi-client http://127.0.0.1:8000 213 1000".into());
    };
    let query = Both::build_query(variables);

    let mut response = ureq::post(format!("{url}/graphql")).send_json(query)?;
    let Response { data, errors, .. } = response.body_mut().read_json::<Response<both::ResponseData>>()?;

    // Each field answers for itself: when one fails, it is null, and the other is still there.
    let (fib, pi) = data.map_or((None, None), |data| (data.fib, data.pi));
    if let Some(fib) = fib {
        println!("F({n}) = {} (cached: {})", fib.result, fib.cached);
    }
    if let Some(pi) = pi {
        println!("π({terms}) = {} (cached: {})", pi.result, pi.cached);
    }
    errors.into_iter().flatten().next().map_or(Ok(()), |error| Err(error.message.into()))
}
