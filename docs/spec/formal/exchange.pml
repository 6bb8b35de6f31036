/* The attested exchange and its channel, bounded, for spin: two client sessions, two runs of the genuine enclave.

   What this adds to the rules of exchange_rules.py is time and memory: a client takes one answer, an enclave takes
   a number once, a request is executed once. The attacker is the network: at each step it delivers what it has seen
   or can make. docs/spec/attested-channel.md gives the steps; docs/spec/formal/README.md the bounds and how to run it.

   Terms are small numbers.
     KEM keys:   1, 2 of the client sessions; KM of the attacker
     secrets:    1, 2 drawn by the enclave's runs; SA chosen by the attacker
     h:          hello's key, sealed secret (its key, its secret); a client's h and a run's h are equal exactly when
                 the client opened that run's secret and the run was asked with the client's key
     instances:  I1 genuine (deployment A, machine M1), its key safe; I2 (A, M1), key leaked; IB (deployment B, M2),
                 all leaked; IX the attacker's own, certified by nobody
     machines:   M1 safe; M2's attestation key leaked
*/

#define KM 3
#define SA 3
#define NONE 0
#define I1 1
#define I2 2
#define IB 3
#define IX 4
#define M1 1
#define M2 2
#define A 1
#define B 2

byte asked_with[4];   /* the key in the hello that run r (1, 2) took; NONE: not run yet */
bool knows[4];        /* the attacker knows this secret */
bool quoted[4];       /* run r's binder is in a quote that everybody can see */
bool together;        /* both runs were quoted in one batch */
byte opened[3];       /* the secret that client session c accepted with; NONE: not accepted */
bool given_up[3];     /* client session c has had an answer that it refused */

bool sent[6];         /* client session c has sent request n: index at(c, n) */
byte executed[6];     /* how often run r executed request n */
byte answers[6];      /* how many answers client session c has taken for request n */
bool had[6];          /* client session c has opened the box of this answer */
#define at(x, n) ((x) * 2 + (n))

bool served;          /* a client was served, for the check that honest runs are possible at all */

#ifdef NO_WINDOW
#define in_window(r, n) true
#else
#define in_window(r, n) (executed[at(r, n)] == 0)
#endif
#define same_h(c, r) (opened[c] == (r) && asked_with[r] == (c))

/* 6: the client's verdict on what the attacker puts together. */
inline verdict(c) {
  byte ss, quote, machine, inst, shown;
  bool sealed, confirmed, leaf_is_mine, claims_signed, certified, pinned;
  select (ss : 1 .. 3);       /* the secret inside the sealed secret */
  select (quote : 0 .. 2);    /* 1, 2: the genuine quote over that run; 0: forged with M2's attestation key */
  select (inst : 1 .. 4);     /* whom the claims name */
  select (shown : 1 .. 2);    /* the deployment key in the core */
  /* somebody sealed it for this hello: a run that took this hello, or the attacker, who then knows it */
  sealed = knows[ss] || (ss != SA && asked_with[ss] == c);
  confirmed = knows[ss] || (ss != SA && asked_with[ss] == c);
  if
  :: quote == 0 -> machine = M2; leaf_is_mine = knows[ss]   /* whoever makes a leaf needs the secret */
  :: else ->
     machine = M1;
     leaf_is_mine = quoted[quote] && ss != SA && quoted[ss] && asked_with[ss] == c && (ss == quote || together)
  fi;
#ifdef NO_INCLUSION
  leaf_is_mine = (quote == 0 || quoted[quote]);
#endif
  /* genuine claims name I1 and were signed by it; the attacker signs its own with keys that it has */
  claims_signed = (quote != 0 && inst == I1) || (quote == 0 && inst != I1);
  certified = (inst == I1 && shown == A && machine == M1) || (inst == I2 && shown == A && machine == M1) ||
              (inst == IB && shown == B && machine == M2);
#ifdef NO_MACHINE
  certified = (inst == I1 && shown == A) || (inst == I2 && shown == A) || (inst == IB && shown == B);
#endif
#ifdef NO_POSSESSION
  claims_signed = true;
  certified = true;
#endif
  pinned = (shown == A);
#ifdef NO_PIN
  pinned = true;
#endif
  if
  :: sealed && confirmed && leaf_is_mine && claims_signed && certified && pinned ->
     opened[c] = ss;
     /* whoever a client accepts is a genuine run of its deployment, with the same h, for nobody else */
     assert(ss != SA && asked_with[ss] == c);
     assert(!knows[ss]);
     assert(shown == A);
     assert(opened[1] != opened[2])
  :: else -> given_up[c] = true   /* an exchange is good for one answer only */
  fi;
  ss = 0; quote = 0; machine = 0; inst = 0; shown = 0;
  leaf_is_mine = 0; claims_signed = 0; certified = 0; sealed = 0; confirmed = 0; pinned = 0
}

/* 7: client session c takes for its request n the box of the answer to request m, or one of its own requests. */
inline take_answer(c, n, m, reflected) {
  bool fits, fresh;
  fits = (m == n);
#ifdef NO_REQUEST_NUMBER
  fits = true;
#endif
  fresh = !had[at(c, m)];
#ifdef MANY_ANSWERS
  fresh = true;
#endif
  if
  :: !reflected && fits && fresh && executed[at(opened[c], m)] > 0 ->
     had[at(c, m)] = true;
     answers[at(c, n)]++;
     assert(m == n);
     assert(answers[at(c, n)] == 1);
     served = true
#ifdef NO_DIRECTIONS
  :: reflected && sent[at(c, m)] && fits -> assert(!reflected)
#endif
  :: else
  fi;
  fits = 0; fresh = 0
}

active proctype world() {
  byte r, c, n, m;
  knows[SA] = true;
  do
  :: atomic { /* the enclave takes a hello: a client's, or one that the attacker made */
       select (r : 1 .. 2);
       if :: asked_with[r] == NONE -> select (c : 1 .. 3); asked_with[r] = c;
             if :: c == KM -> knows[r] = true :: else fi
          :: else fi; r = 0; c = 0 }
  :: atomic { /* the enclave quotes what has arrived since the last quote */
       if
       :: asked_with[1] != NONE && asked_with[2] != NONE && !quoted[1] && !quoted[2] ->
          quoted[1] = true; quoted[2] = true; together = true
       :: asked_with[1] != NONE && !quoted[1] -> quoted[1] = true
       :: asked_with[2] != NONE && !quoted[2] -> quoted[2] = true
       :: else
       fi }
  :: atomic { /* a client judges an answer */
       select (c : 1 .. 2);
       if :: opened[c] == NONE && !given_up[c] -> verdict(c) :: else fi; c = 0 }
  :: atomic { /* an accepted client sends a request */
       select (c : 1 .. 2); select (n : 0 .. 1);
       if :: opened[c] != NONE -> sent[at(c, n)] = true :: else fi; c = 0; n = 0 }
  :: atomic { /* the attacker delivers a request, again perhaps */
       select (c : 1 .. 2); select (r : 1 .. 2); select (n : 0 .. 1);
       if
       :: sent[at(c, n)] && same_h(c, r) && in_window(r, n) -> executed[at(r, n)]++; assert(executed[at(r, n)] == 1)
       :: else
       fi; c = 0; r = 0; n = 0 }
  :: atomic { /* the attacker delivers an answer, to some request of that client */
       select (c : 1 .. 2); select (n : 0 .. 1); select (m : 0 .. 1); select (r : 0 .. 1);
       if :: opened[c] != NONE && opened[c] != SA && sent[at(c, n)] -> take_answer(c, n, m, (r == 1)) :: else fi;
       c = 0; n = 0; m = 0; r = 0 }
#ifdef REACH
  :: served -> assert(false)
#endif
  od
}
