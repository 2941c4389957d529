"""Chebyshev coefficients of the special functions in rushlight.numerics, from mpmath at 50 digits."""
import mpmath as mp
mp.mp.dps = 45
def cheb(f, a, b, n):
    """Coefficients of the Chebyshev interpolant of f on [a, b] at n nodes (first one halved)."""
    a, b = mp.mpf(a), mp.mpf(b)
    N = n
    xs = [mp.cos(mp.pi*(k+mp.mpf(1)/2)/N) for k in range(N)]
    fs = [f((b-a)/2*x + (a+b)/2) for x in xs]
    c = [2/mp.mpf(N)*sum(fs[k]*mp.cos(mp.pi*j*(k+mp.mpf(1)/2)/N) for k in range(N)) for j in range(N)]
    c[0] /= 2
    scale = max(abs(x) for x in fs)
    last = max(j for j in range(N) if abs(c[j]) > mp.mpf(10)**-18*abs(c[0]))
    c = c[:last+1]
    # from Chebyshev polynomials to powers, exactly enough
    out = [mp.mpf(0)]*len(c)
    p, q = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    for j, v in enumerate(c):
        t = p if j == 0 else q
        for i, w in enumerate(t): out[i] += v*w
        if j >= 1:
            r = [mp.mpf(0)] + [2*w for w in q]
            for i, w in enumerate(p): r[i] -= w
            p, q = q, r
    return [float(x) for x in out]
def show(name, c):
    print(f"{name} = (")
    for v in c: print(f"    {v!r},")
    print(")", flush=True)
# erf(x)/x in s = x^2 on [0, 1]
show("ERF_SMALL", cheb(lambda s: mp.erf(mp.sqrt(s))/mp.sqrt(s) if s else 2/mp.sqrt(mp.pi), 0, 1, 24))
# exp(x^2) erfc(x) (x + 2)/... as function of t = 4/(4+x) ... on x >= 0.5
def erfcx(x): return mp.exp(x*x)*mp.erfc(x)
def g(t):
    x = 4/t-4
    if x > 60:
        # asymptotic
        s, term = mp.mpf(0), mp.mpf(1)
        for k in range(0, 30):
            s += term
            term *= -(2*k+1)/(2*x*x)
        return s/(x*mp.sqrt(mp.pi))*(1+2*x)
    return erfcx(x)*(1+2*x)
show("ERFCX", cheb(lambda t: g(t), mp.mpf(10)**-30, 1, 48))
# lgamma
def q(x):
    if x in (1, 2): return (-1)**(2-int(x))*mp.mpf(1)*(mp.digamma(x))*1
    d=(x-1)*(x-2)
    return mp.loggamma(x)/d
show("LGAMMA_NEAR", cheb(q, 1, 3, 40))
show("LGAMMA_LOW", cheb(q, 0.5, 1, 40))
show("LGAMMA_MIDDLE", cheb(lambda x: mp.loggamma(x), 3, 8, 40))
# i0, i1
show("I0_SMALL", cheb(lambda x: mp.exp(-x)*mp.besseli(0,x), 0, 8, 48))
show("I1_SMALL", cheb(lambda x: mp.exp(-x)*mp.besseli(1,x)/x if x else mp.mpf(1)/2, 0, 8, 48))
def big(n):
    def f(u):
        x = 8/u
        if x > 5000:
            s, term = mp.mpf(0), mp.mpf(1)
            for k in range(1, 12):
                s += term
                term *= -(4*n*n-(2*k-1)**2)/(k*8*x)
            return s/mp.sqrt(2*mp.pi)
        return mp.sqrt(x)*mp.exp(-x)*mp.besseli(n,x)
    return f
show("I0_LARGE", cheb(big(0), mp.mpf(10)**-25, 1, 40))
show("I1_LARGE", cheb(big(1), mp.mpf(10)**-25, 1, 40))
# digamma near: (psi(x)) / (x - x0) on [1, 2.5]?
x0 = mp.findroot(mp.digamma, 1.4616321449683623)
print("ROOT =", repr(float(x0)), "; TAIL =", repr(float(x0-mp.mpf(float(x0)))))
show("DIGAMMA_NEAR", cheb(lambda x: mp.digamma(x)/(x-x0), 1, 2, 40))
show("STIRLING", [float(mp.bernoulli(2*k)/(2*k*(2*k-1))) for k in range(1,11)])
show("DIGAMMA_FAR", [float(mp.bernoulli(2*k)/(2*k)) for k in range(1,11)])
show("ZETA_B", [float(mp.bernoulli(2*k)/mp.factorial(2*k)) for k in range(1,13)])
