"""Two processes that make an organization's token at once, in every order of their requests; most are `long`."""

from collections.abc import Callable

import pytest

from rehearsal.sandbox import Function
from rehearsal.world import World
from tests.organization.seen import scene
from tests.rotation.test_twins import orders_of

# In how many orders the requests can arrive, by the first choices. One may see what the other has made, and must leave
# it until its own is stored.
ORDERS = [pytest.param((0,), 37, marks=pytest.mark.long), ((1,), 1)]


@pytest.mark.parametrize(("first", "orders"), ORDERS, ids=str)
def test_twins_that_make_a_token_end_as_one_would_whatever_the_order_of_their_requests(
    make_world: Callable[..., World],
    process_of_its_own: Callable[..., Function],
    first: tuple[int, ...],
    orders: int,
) -> None:
    found = orders_of("createSecret", first, scene(placeholder=True), make_world, process_of_its_own)

    assert found == orders
